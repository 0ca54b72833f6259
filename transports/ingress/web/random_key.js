// Keys that nobody else has; crypto.randomUUID is missing on plain http from elsewhere.

/** 128 random bits as text. @returns {string} */
export function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
