"""What the page at / promises a person: CONTRACT.md sections 1 to 4 as seen in a browser."""

SOURCE = "CONTRACT.md sections 1 to 4, in a browser"

PROMISES = {
    "page.signed-in-by-link": "The sign-in link opens the page, signed in.",
    "page.streams": "A question typed on the page is answered as it comes.",
    "page.reload": "A reload in the middle of an answer: no word missing or doubled.",
    "page.server-restart": "A restart of the service in the middle: no word missing or doubled.",
    "page.connection-loss": "A lost connection shows a banner and resumes by itself.",
    "page.tabs": "Eight tabs are live on one connection, and a POST answers within 1 s.",
    "page.abort": "Stop ends the answer and keeps what was said.",
    "page.replace": "A question over a running answer replaces it.",
    "page.queue": "A question can wait for the running answer.",
    "page.hostile-text": "Hostile text from a model is shown as text and runs nothing.",
    "page.headers": "The page has a strict CSP, nosniff, and no frame may hold it.",
    "page.accessible": "axe finds nothing, and the live region speaks sentences and the end state.",
    "page.keyboard": "Focus stays in the composer, and everything is reached by keyboard.",
    "page.approvals": "A person sees what waits for their word, and approves or denies it.",
}
