// The box of the start page: asks explain.js, and shows the answer in this page.

"use strict";

(function () {
  const MOST = 5; // answers in full; of more, the titles
  const form = document.getElementById("explain");
  const pasted = document.getElementById("pasted");
  const place = document.getElementById("answer");
  let engine = null, loading = null;

  // The index is loaded when the box is used for the first time.
  function ready() {
    loading = loading || new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = "_static/explain-data.js";
      script.onload = () => { engine = firedrill(window.FIREDRILL); done(); };
      script.onerror = failed;
      document.head.append(script);
    });
    return loading;
  }

  function add(parent, tag, text, more = {}) {
    const made = Object.assign(document.createElement(tag), more);
    if (text) made.textContent = text;
    parent.append(made);
    return made;
  }

  function row(parent, label, text) {
    if (!text) return;
    const line = add(parent, "p");
    add(line, "strong", `${label} `);
    line.append(text);
  }

  function link(parent, entry) {
    const made = add(parent, "a", "", { href: `errors/${entry.page}.html` });
    add(made, "code", entry.title);
  }

  function shown(one) {
    const { entry } = one;
    const block = add(place, "section", "", { className: `found ${one.sure}` });
    link(add(block, "h2"), entry);
    add(block, "p", `${one.sure}: ${one.evidence}`, { className: "sure" });
    add(block, "p", entry.means);
    if (entry.apart) {
      add(add(block, "p"), "strong", "Which cause is it");
      const list = add(block, "ul");
      for (const cause of entry.apart) add(list, "li", cause);
    }
    row(block, "What to do:", entry.fix);
    row(block, "What does not help:", entry.trap);
    row(block, "Versions:", entry.versions);
    const read = add(block, "p");
    add(read, "strong", "Read: ");
    add(read, "a", entry.section, { href: entry.place });
    read.append(` in lesson ${entry.lesson.slice(0, 2)}`);
  }

  function hedge(evidence) {
    if (evidence === "your words") return "Perhaps one of these; there was no error's text to go by:";
    if (!evidence.startsWith("only")) return `Not sure, by ${evidence}. If it is PostgreSQL's after all:`;
    return `Not sure, by ${evidence}: which of these it is, its text or a traceback would tell.`;
  }

  function show({ found, name, general }) {
    place.replaceChildren();
    if (!pasted.value.trim()) return;
    if (!found.length) {
      const block = add(place, "section", "", { className: "found" });
      add(block, "h2", "This error is not in the index yet.");
      if (general) row(block, `In general, ${name}:`, general);
      row(block, "Collect", engine.collect);
      return;
    }
    const hedged = found[0].sure === "possible";
    if (hedged) add(place, "p", hedge(found[0].evidence));
    const full = found.length <= MOST ? found : found.slice(0, hedged ? 0 : 1);
    full.forEach((one, at) => {
      if (at === 1 && !hedged) add(place, "p", "Also in what you pasted, as a cause or a consequence:");
      shown(one);
    });
    const rest = found.slice(full.length);
    if (rest.length) {
      const list = add(place, "ul");
      for (const one of rest) link(add(list, "li"), one.entry);
    }
  }

  async function explain() {
    await ready();
    show(engine.answer(pasted.value));
  }

  pasted.addEventListener("focus", ready, { once: true });
  pasted.addEventListener("input", explain);
  form.addEventListener("submit", (event) => { event.preventDefault(); explain(); });
})();
