// A question to the person, in the answer that waits for it: may a tool be called, or what does it want to know.
// It is gone once the log says that it has its answer, whoever gave it.

import { answerApproval } from "./api.js";

/** @typedef {{ approval_id: string, item_id: string, question: string, tool?: string, schema?: any }} Asked */

export class Approval {
  element = document.createElement("form");
  #job;
  #asked;
  #complaint = document.createElement("p");
  /** @type {Map<string, HTMLInputElement>} */
  #fields = new Map();

  /** @param {string} job @param {Asked} asked */
  constructor(job, asked) {
    this.#job = job;
    this.#asked = asked;
    this.element.className = "approval";
    this.element.setAttribute("aria-label", "The answer waits for you");
    const question = document.createElement("p");
    question.setAttribute("role", "alert");
    question.textContent = asked.question;
    this.#complaint.className = "complaint";
    this.#complaint.setAttribute("role", "alert");
    const row = document.createElement("div");
    row.className = "row";
    row.append(this.#button("Deny", "button", "quiet"), this.#button("Approve", "submit", ""));
    this.element.append(question, ...this.#inputs(), this.#complaint, row);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#answer("approve");
    });
  }

  /** @param {string} words @param {"button" | "submit"} type @param {string} style */
  #button(words, type, style) {
    const button = document.createElement("button");
    button.type = type;
    button.className = style;
    button.textContent = words;
    if (type === "button") button.addEventListener("click", () => void this.#answer("deny"));
    return button;
  }

  /** A field for each thing that the tool wants to know. */
  #inputs() {
    return Object.entries(this.#asked.schema?.properties ?? {}).map(([name, wanted]) => {
      const { title = name, type, description = "" } = /** @type {any} */ (wanted);
      const input = document.createElement("input");
      input.type = type === "boolean" ? "checkbox" : type === "number" || type === "integer" ? "number" : "text";
      if (input.type === "number") input.step = "any";
      input.required = input.type !== "checkbox" && (this.#asked.schema.required ?? []).includes(name);
      input.title = description;
      this.#fields.set(name, input);
      const label = document.createElement("label");
      label.append(`${title} `, input);
      return label;
    });
  }

  /** @param {"approve" | "deny"} answer */
  async #answer(answer) {
    const buttons = this.element.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    this.#complaint.textContent = "";
    try {
      await answerApproval(this.#job, this.#asked.approval_id, { answer, ...this.#content(answer) });
    } catch (error) {
      this.#complaint.textContent = error instanceof Error ? error.message : String(error);
      for (const button of buttons) button.disabled = false;
    }
  }

  /** @param {"approve" | "deny"} answer */
  #content(answer) {
    if (answer === "deny" || this.#asked.schema === undefined) return {};
    const given = [...this.#fields].filter(([, input]) => input.type === "checkbox" || input.value !== "");
    return { content: Object.fromEntries(given.map(([name, input]) => [name, valueOf(input)])) };
  }
}

/** @param {HTMLInputElement} input */
function valueOf(input) {
  if (input.type === "checkbox") return input.checked;
  return input.type === "number" ? input.valueAsNumber : input.value;
}
