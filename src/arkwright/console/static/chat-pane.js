// <chat-pane>: one model's side of a conversation. It streams an answer from the gateway as any customer would, shows
// reasoning and tool calls apart, can be stopped, and says what was measured here and what was charged.
// Answers are put in as text, never as markup. Words come from data-… of the element and from its page.

const TICK_MS = 400;
const TICKS_MAX = 25; // Ten seconds; a charge is usually settled in a tenth of one.

const rounded = (number, digits) => number.toLocaleString(document.documentElement.lang, { maximumFractionDigits: digits });

customElements.define("chat-pane", class extends HTMLElement {
  connectedCallback() {
    this.messages = [];
    this.select = this.querySelector("select");
    this.log = this.querySelector("[role=log]");
    this.stopper = this.querySelector(".stop");
    this.stopper.addEventListener("click", () => this.stop());
  }

  get model() { return this.select.value; }

  set model(name) {
    if ([...this.select.options].some((option) => option.value === name)) this.select.value = name;
  }

  get busy() { return Boolean(this.asked); }

  stop() { this.asked?.abort(); }

  clear() {
    this.stop();
    this.messages = [];
    this.log.replaceChildren();
  }

  // `settings`: the body without model and messages. `key`: a function that brings a key, anew if it is told so.
  async ask(text, system, settings, key) {
    if (this.busy || !this.model) return;
    this.asked = new AbortController();
    this.stopper.hidden = false;
    this.say("asker", text);
    const turn = { answer: "", reasoning: "", calls: [], started: performance.now() };
    this.show(turn);
    const messages = [...this.messages, { role: "user", content: text }];
    const said = system ? [{ role: "system", content: system }, ...messages] : messages;
    const body = { model: this.model, messages: said, ...settings, stream: true, stream_options: { include_usage: true } };
    try {
      const answer = await this.send(body, key);
      turn.request = answer.headers.get("x-request-id");
      if (answer.ok) await this.read(answer.body, turn);
      else turn.error = await refusal(answer);
    } catch (error) {
      if (error.name === "AbortError") turn.note = this.dataset.stopped;
      else turn.error = error.message || this.dataset.unreachable;
    }
    turn.ended = performance.now();
    this.asked = undefined;
    this.stopper.hidden = true;
    if (turn.answer && !turn.error) this.messages = [...messages, { role: "assistant", content: turn.answer }];
    this.close(turn);
  }

  // A key may have ended meanwhile (its hour, or another page that renewed it): once more with a new one.
  async send(body, key) {
    for (const anew of [false, true]) {
      const answer = await fetch(this.dataset.gateway, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${await key(anew)}` },
        body: JSON.stringify(body),
        signal: this.asked.signal,
      });
      if (answer.status !== 401 || anew) return answer;
    }
  }

  async read(stream, turn) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data: ") && !line.startsWith("data: [DONE]")) this.take(JSON.parse(line.slice(6)), turn);
      }
    }
  }

  take(event, turn) {
    if (event.error) {
      turn.error = event.error.message;
      return;
    }
    if (event.usage) turn.usage = event.usage;
    const choice = event.choices?.[0];
    if (!choice) return;
    if (choice.finish_reason === "length") turn.note = this.dataset.length;
    const { content, reasoning_content: reasoning, tool_calls: calls } = choice.delta ?? {};
    if (!content && !reasoning && !calls) return;
    turn.first ??= performance.now();
    if (reasoning) grow(turn, "reasoning", reasoning);
    if (content) grow(turn, "answer", content);
    for (const call of calls ?? []) {
      const known = (turn.calls[call.index ?? 0] ??= { name: "", arguments: "" });
      known.name += call.function?.name ?? "";
      known.arguments += call.function?.arguments ?? "";
      turn.shown.calls.textContent = turn.calls.map((one) => `${one.name}(${one.arguments})`).join("\n");
      turn.shown.calls.hidden = false;
    }
    this.log.scrollTop = this.log.scrollHeight;
  }

  say(kind, text) {
    const line = document.createElement("p");
    line.className = kind;
    line.textContent = text;
    this.log.append(line);
    return line;
  }

  // The turn's places, from the page's template, so that their words are the page's.
  show(turn) {
    const made = this.querySelector("template").content.cloneNode(true);
    const find = (name) => made.querySelector(`.${name}`);
    turn.shown = { answer: find("answer"), reasoning: find("reasoning"), calls: find("calls"), figures: find("measured"), note: find("note") };
    turn.shown.thought = find("thought");
    this.log.append(made);
    this.log.scrollTop = this.log.scrollHeight;
  }

  close(turn) {
    const { figures, note } = turn.shown;
    note.textContent = turn.error ?? turn.note ?? "";
    note.classList.toggle("bad", Boolean(turn.error));
    if (turn.error) note.lang = "en";
    note.hidden = !note.textContent;
    const put = (name, text) => {
      if (text) figures.querySelector(`.${name}`).textContent = text;
    };
    if (turn.first) put("ttft", `${rounded(turn.first - turn.started, 0)} ms`);
    if (turn.usage) {
      const { prompt_tokens: read, completion_tokens: written } = turn.usage;
      put("tokens", `${rounded(read, 0)} → ${rounded(written, 0)}`);
      const seconds = (turn.ended - turn.first) / 1000;
      if (written > 1 && seconds > 0) put("speed", `${rounded((written - 1) / seconds, 1)} /s`);
    }
    figures.hidden = !turn.first;
    this.log.scrollTop = this.log.scrollHeight;
    if (turn.request && turn.first) this.price(turn, figures.querySelector(".cost"));
  }

  // From the charge itself, once it is settled; never a guess.
  async price(turn, place) {
    place.textContent = this.dataset.settling;
    const address = new URL(this.dataset.charge, location.href);
    address.searchParams.set("id", turn.request);
    for (let tick = 0; tick < TICKS_MAX; tick += 1) {
      const answer = await fetch(address).catch(() => undefined);
      const told = answer?.ok ? await answer.json() : undefined;
      if (told?.settled) {
        place.textContent = `${told.amount} ${told.currency}`;
        return;
      }
      await new Promise((wake) => { setTimeout(wake, TICK_MS); });
    }
    place.textContent = this.dataset.unsettled;
  }
});

function grow(turn, name, text) {
  turn[name] += text;
  turn.shown[name].append(text);
  if (name === "reasoning") turn.shown.thought.hidden = false;
}

// What the platform says went wrong, in its own words.
async function refusal(answer) {
  const told = await answer.json().catch(() => undefined);
  return told?.error?.message ?? `HTTP ${answer.status}`;
}
