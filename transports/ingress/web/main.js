// The page: puts the parts together and says which conversation is open. The hash of the address names it.

import { abortJob, endSession, hasTools, readModels, Refusal } from "./api.js";
import { Composer } from "./composer.js";
import { Follower } from "./follow.js";
import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, BANNER_MS } from "./limits.js";
import { Outbox } from "./outbox.js";
import { randomKey } from "./random_key.js";
import { Room } from "./room.js";
import { Sidebar } from "./sidebar.js";
import { Speech } from "./speech.js";
import { Transcript } from "./transcript.js";

const part = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/** @type {Room | null} */
let room = null;
let draft = randomKey();
/** Answers to what this tab asked, until they are spoken of. @type {Set<string>} */
const mine = new Set();
let frame = 0;
let banner = 0;

const speech = new Speech(part("announcements"));
const transcript = new Transcript(part("messages"), part("latest"));
const sidebar = new Sidebar(part("conversation-list"), part("older"), part("toggle"));
const follower = new Follower({
  events: (stream, events) => room?.take(stream, events),
  link: showLink,
  closed: (stream, why) => void (why === "reset" ? enter() : leaveAbsent(stream)),
  signedOut,
});
const outbox = new Outbox({
  changed: update,
  opened: (letter, conversation) => {
    sidebar.put(conversation);
    if (room !== null || letter.draft !== draft) return;
    history.replaceState(null, "", `#${conversation.id}`);
    void enter();
  },
  sent: (letter, job) => {
    mine.add(job.id);
    if (room?.id === letter.conversation) room?.asked(letter.input, job);
  },
  refused: (letter, refusal) => {
    if (refusal.status === 401) return signedOut();
    const active = "An answer is being written here. Choose Ask next or Ask instead.";
    composer.giveBack(letter.input, refusal.name === "job-active" ? active : refusal.message);
  },
});
const composer = new Composer(
  {
    form: part("composer"),
    field: part("message"),
    send: part("send"),
    instead: part("instead"),
    stop: part("stop"),
    model: part("model"),
    tools: part("tools"),
    complaint: part("complaint"),
  },
  (input, on_active) => {
    transcript.pin();
    const { model, tools } = composer;
    outbox.send({ conversation: room?.id ?? null, draft, input, model, tools, on_active });
  },
  () => {
    const job = room?.dialogue.current;
    if (job != null) void persist(() => abortJob(job)).catch(() => {});
  },
);
Object.defineProperty(window, "runchatSeen", { get: () => structuredClone(follower.seen) });

/** Opens the conversation that the address names, or an empty page for a new one. */
async function enter() {
  room?.close();
  room = null;
  speech.forget();
  transcript.clear();
  sidebar.unfold(false);
  const id = decodeURIComponent(location.hash.slice(1));
  sidebar.mark(id || null);
  composer.focus();
  if (id === "") {
    draft = outbox.letters.find((letter) => letter.conversation === null)?.draft ?? randomKey();
    return update();
  }
  const entered = (room = new Room(id, follower, update));
  update();
  try {
    await persist(() => entered.open(), () => room !== entered);
  } catch (error) {
    if (room === entered) absent();
  }
}

/** @param {string} stream */
function leaveAbsent(stream) {
  if (stream === `conversations/${room?.id}`) absent();
}

function absent() {
  room?.close();
  room = null;
  history.replaceState(null, "", "#");
  part("complaint").textContent = "This conversation is not here.";
  void enter();
}

/** Something changed: speak of it now, show it with the next frame. */
function update() {
  const letters = outbox.letters.filter((each) => each.conversation === (room?.id ?? null));
  const sending = letters.length > 0;
  if (room?.ready && !sending) void room.fetchQuestions().catch(() => {});
  for (const turn of room?.dialogue.turns ?? []) {
    const old = room?.old.job === turn.job_id && !mine.has(turn.job_id);
    // While a question is on its way, an answer that was here before the page may be the one to it.
    if (old && sending) continue;
    // Of an answer that was being written when the page came, what was there is not news.
    if (mine.delete(turn.job_id) || turn.live) speech.follow(turn, old ? (room?.old.said ?? 0) : 0);
    speech.update(turn);
  }
  composer.show(sending || (room?.busy ?? false), room?.dialogue.current != null);
  frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  const letters = outbox.letters.filter((each) => each.conversation === (room?.id ?? null));
  const pending = letters.map((letter) => ({
    ...{ answer: null, view: null, live: false, job: null, status: "sending" },
    ...{ job_id: letter.key, question: letter.input },
  }));
  const asked = (room?.dialogue.turns ?? []).filter((turn) => turn.question !== null);
  const title = room === null ? "New conversation" : room.title || sidebar.title(room.id) || "Conversation";
  if (part("title").textContent !== title) {
    part("title").textContent = title;
    document.title = `${title} · Runchat`;
  }
  part("greeting").hidden = asked.length + pending.length > 0 || (room !== null && !room.ready);
  transcript.show([...asked, ...pending]);
}

/** @param {import("./feed.js").Link} link */
function showLink(link) {
  clearTimeout(banner);
  const element = part("connection");
  if (link === "lost") {
    banner = setTimeout(() => {
      element.textContent = "Connection lost. Trying again. What you see is kept.";
    }, BANNER_MS);
  } else if (link !== "connecting" && element.textContent !== "") {
    element.textContent = "";
    speech.say("Connected again.");
  }
}

/**
 * Does a thing until the service has answered; a refusal is an answer.
 * @template R
 * @param {() => Promise<R>} attempt
 * @param {() => boolean} [given_up]
 * @returns {Promise<R | undefined>}
 */
async function persist(attempt, given_up = () => false) {
  for (let pause_ms = BACKOFF_FIRST_MS; !given_up(); pause_ms = Math.min(BACKOFF_LONGEST_MS, pause_ms * 2)) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) return signedOut();
      if (error instanceof Refusal && error.status < 500 && error.status !== 429) throw error;
      await new Promise((resume) => setTimeout(resume, pause_ms * (1 - Math.random() / 2)));
    }
  }
  return undefined;
}

/** @returns {undefined} */
function signedOut() {
  location.replace(new URL("./signed-out.html", import.meta.url));
}

part("new").addEventListener("click", () => {
  if (location.hash !== "") location.hash = "";
  else void enter();
});
part("conversation-list").addEventListener("click", () => sidebar.unfold(false));
part("sign-out").addEventListener("click", () => void persist(endSession).finally(signedOut));
addEventListener("hashchange", () => void enter());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void persist(() => sidebar.refresh()).catch(() => {});
});

void persist(readModels).then((found) => found && composer.offer(found.models, found.chosen)).catch(() => composer.offer([], null));
void persist(hasTools).then((there) => composer.offerTools(there ?? false)).catch(() => {});
void persist(() => sidebar.refresh()).catch(() => {}).finally(update);
void enter();
void outbox.run();
