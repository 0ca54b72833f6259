"""What the registries of endpoints and models promise: CONTRACT.md section 6, and the README."""

SOURCE = "CONTRACT.md section 6"

PROMISES = {
    "endpoints.add": "An endpoint that an admin adds answers at once.",
    "endpoints.key-sealed": "A key is kept sealed and never comes back.",
    "endpoints.change": "A change counts for the next job; the running one goes on.",
    "endpoints.moved-key": "Another address wants the key to be given again.",
    "endpoints.remove": "A removed endpoint is gone with its key.",
    "endpoints.fixed": "A taken name, a built-in and a configured endpoint are 409.",
    "endpoints.admin": "Only an admin changes endpoints, or sees where they are.",
    "endpoints.invalid": "Settings that cannot be are 422 with their place.",
    "endpoints.reload": "SIGHUP has the settings file's endpoints read again, where it has one.",
    "endpoints.default": "models.default may name a model of a stored endpoint.",
    "models.own-facts": "An admin's word on a model, and its prices, win over what is known of it.",
    "endpoints.test": "A test says what an endpoint can do, or why not, and is kept.",
}
