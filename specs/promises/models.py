"""What the models without a key promise: CONTRACT.md section 7."""

SOURCE = "CONTRACT.md section 7"

PROMISES = {
    "models.echo": "echo answers with the input, a word and the space after it a part.",
    "models.local": "local/smollm2 answers from the embedded model.",
    "models.local-crash": "A crash of the model's process costs one job and not the service.",
    "models.local-missing": "Where the model is not installed, the answer says so.",
    "models.synthetic-setting": "synthetic/tokens is unknown where the setting does not allow it.",
    "models.synthetic-defaults": "synthetic/tokens without options is 100 deltas of 16 characters.",
    "models.synthetic-text": "The synthetic text depends on seed and index only.",
    "models.synthetic-interval": "interval_ms paces the synthetic deltas.",
    "models.synthetic-ends": "end and fail_after choose how and when a synthetic stream ends.",
    "models.synthetic-bounds": "More than 1,000,000 deltas, or a delta over 64 KiB, is 422.",
}
