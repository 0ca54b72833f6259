"""What the guard of everything outward promises."""

SOURCE = "CONTRACT.md section 1; ARCHITECTURE.md law 6"

PROMISES = {
    "egress.check-json": "`runchat egress check --json` answers each case with a decision.",
    "egress.check-plain": "`runchat egress check URL` says what would be dialled, or the rule.",
    "egress.spellings": "However an address is spelt or wrapped, it is judged by where it leads.",
    "egress.whole-answer": "A name is refused if any of its addresses is.",
    "egress.one-look-up": "A name is looked up once a connection, and what was checked is dialled.",
    "egress.redirects": "Redirects are judged hop by hop, at most five, without credentials.",
    "egress.tls": "TLS verifies the name while the checked address is dialled.",
    "egress.bounds": "An answer is bounded in bytes, decoded bytes and time.",
    "egress.counted": "Each decision is counted by its rule.",
    "egress.nobody-else": "Nothing else in the product opens a connection outward.",
    "egress.sdks": "Every SDK takes the client of the guard.",
}
