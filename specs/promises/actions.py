"""What actions made from documents of APIs promise."""

SOURCE = "CONTRACT.md sections 3 and 4; ARCHITECTURE.md laws 6, 11 and 12"

PROMISES = {
    "actions.no-ghosts": "Only the methods of paths become actions, nothing else.",
    "actions.parameters": "Parameters of a path count for its operations; their own come first.",
    "actions.left-out": "What cannot be called is left out with the reason.",
    "actions.names": "Each action has a name that every vendor takes, whatever others there are.",
    "actions.preview": "A preview lists what is taken, and what is left out and why.",
    "actions.domain": "Calls go to the server that was agreed upon and to no other.",
    "actions.bombs": "A hostile YAML is refused before it is written out.",
    "actions.recursion": "A schema that holds itself is cut where it does, and says so.",
    "actions.bounds": "A document past a bound is refused by the bound's name.",
    "actions.child": "An import is a child with bounds, which ends with the wait for it.",
    "actions.call": "Actions are tools that a caller can call.",
    "actions.request": "Arguments are written as the document says, and none leaves its place.",
    "actions.command": "Actions are made and removed from the command line, too.",
    "actions.refused": "What is no document of an API is refused with its place.",
    "actions.guarded": "Neither a document nor a server at an address inside is reached.",
    "actions.auth": "A call shows who asks; the secret is sealed and never comes back.",
    "actions.secrets-again": "Another server or auth wants the secrets to be given again.",
    "actions.own": "Actions are their maker's alone.",
    "actions.oauth-client": "The service signs in by itself, once for many calls.",
    "actions.sign-out": "Who signs out or removes a set is forgotten, and the issuer told.",
    "actions.oauth-code": "A person's token is theirs, and is got once, with their browser.",
    "actions.directory": "Documents of real APIs are imported, and counted as another counts.",
}
