// From a pasted traceback to what the index knows of it: firedrill/errors in JavaScript, with the
// same names and the same order. The index, and every longer expression, is made from Python's:
// explain-data.js. Nothing is sent anywhere. tests/site/ proves that the answers are the same.

"use strict";

function firedrill(data) {
  const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
  const SPACES = new RegExp(`[${SPACE}]+`, "gu");
  const ENDS = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "gu");
  const RIGHT = new RegExp(`[${SPACE}]+$`, "u");
  const [LARGEST, BEGINNING, END, AROUND, LONGEST] = data.sizes;
  const POSSIBLE = "possible", LIKELY = "likely", SURE = "sure";

  const made = new Map();
  function pattern(source, flags) {
    const key = `${flags}/${source}`;
    if (!made.has(key)) made.set(key, new RegExp(source, flags));
    return made.get(key);
  }
  const named = (name, more = "") => pattern(data.patterns[name][0], data.patterns[name][1] + more);
  const matchAt = (name, text) => {
    const sticky = named(name, "y");
    sticky.lastIndex = 0;
    return sticky.exec(text);
  };

  const strip = (text) => text.replace(ENDS, "");
  const flattened = (text) => strip(text).replace(SPACES, " ");
  const after = (text, sign) => text.slice(text.lastIndexOf(sign) + 1);
  const before = (text, sign) => text.split(sign, 1)[0];
  const without = (text, start) => (text.startsWith(start) ? text.slice(start.length) : text);
  const cut = (text, end) => (text.endsWith(end) ? text.slice(0, text.length - end.length) : text);
  const cutAll = (text, end) => { while (text.endsWith(end)) text = cut(text, end); return text; };
  const short = (name) => after(name, ".");
  const titleCase = /^\p{Uppercase}/u;

  // -- noise.py ------------------------------------------------------------------------------

  // Python counts characters, JavaScript halves of them: each character that has two halves is
  // replaced by one of its kind that has one. No expression asks for such a character.
  function oneUnitEach(text) {
    if (!/[\ud800-\udfff]/.test(text)) return text;
    return text
      .replace(/[\u{10000}-\u{10ffff}]/gu, (sign) =>
        /\p{L}/u.test(sign) ? "\ua000" : /\p{Nd}/u.test(sign) ? "\u0660" : /\p{N}/u.test(sign) ? "\u2460" : "\u25a1")
      .replace(/[\ud800-\udfff]/g, "\ufffd");
  }

  function excerpt(text) {
    const parts = new Map([[0, BEGINNING], [text.length - END, text.length]]);
    for (const word of ["Traceback", "Error", "Exception", "FATAL", "ERROR"]) {
      const at = text.slice(0, text.length - END).lastIndexOf(word);
      if (at >= BEGINNING) {
        parts.set(Math.max(BEGINNING, at - AROUND), Math.min(text.length - END, at + AROUND));
      }
    }
    return [...parts.keys()].sort((a, b) => a - b).map((begin) => text.slice(begin, parts.get(begin))).join("\n");
  }

  const SIGNS = new RegExp(`[${Object.keys(data.signs).map((sign) => `\\u{${sign.codePointAt(0).toString(16)}}`).join("")}]`, "gu");

  function lines(pasted) {
    let text = oneUnitEach(pasted);
    if (text.length > LARGEST) text = excerpt(text);
    if (text.includes("m") && text.includes("[")) text = text.replace(named("colours", "g"), "");
    if (text.includes("\\")) {
      if (named("escaped").test(text)) text = text.replace(named("newline", "g"), "\n");
      text = text.replaceAll("\\t ", "  ").replaceAll('\\\\"', '"').replaceAll('\\"', '"').replaceAll("\\'", "'");
    }
    if (text.includes("&")) for (const [markup, sign] of data.markup) text = text.replaceAll(markup, sign);
    text = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").replace(SIGNS, (sign) => data.signs[sign]);
    return unwrapped(text).split("\n").map(bare);
  }

  function unwrapped(text) {
    const rows = text.split("\n");
    const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
    if (width < 40 || rows.slice(0, -1).filter((row) => row.length === width).length < 2) return text;
    return rows.map((row) => row + (row.length === width ? "" : "\n")).join("");
  }

  function bare(line) {
    if (line.includes("|") || "0123456789[E>│┃JFMASOND ".includes(line.slice(0, 1))) {
      for (let times = 0; times < 4; times++) {
        const match = matchAt("prefix", line);
        if (!match || !match[0]) break;
        line = line.slice(match[0].length);
      }
    }
    const at = line.indexOf("[SQL: ");
    if (at >= 0) line = line.slice(0, at);
    if (line.length > LONGEST) line = `${line.slice(0, LONGEST / 2)} ${line.slice(-LONGEST / 2)}`;
    return line.replace(RIGHT, "");
  }

  // -- paste.py ------------------------------------------------------------------------------

  function isClass(name) {
    const last = short(name);
    return data.others.includes(last) || (titleCase.test(last) && data.endings.some((end) => last.endsWith(end)));
  }

  function frame(path, fn) {
    const parts = path.replaceAll("\\", "/").replace(/\/+$/, "").split("/");
    return `${parts.slice(-2).join("/")}:${short(fn)}`;
  }

  function frames(text) {
    const marks = [];
    let at = 0;
    for (const line of text.includes(".py") ? text.split("\n") : []) {
      const begin = line.indexOf("File ");
      let match = null;
      if (begin >= 0) {
        const part = line.slice(begin, begin + 500);
        match = matchAt("frame", part) || matchAt("notebook", part);
      } else if (line.includes(".py")) {
        match = named("pytest").exec(line.slice(0, 400));
      }
      if (match) marks.push([at, frame(match[1], match[2] || "")]);
      at += line.length + 1;
    }
    return marks;
  }

  function textAfter(text, at) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    let rest = text.slice(at, Math.min(end, at + 3000));
    if (rest.startsWith(" (") && matchAt("state", rest)) rest = rest.slice(8);
    if (rest.startsWith(" ") && strip(rest).startsWith("Traceback (most recent")) return ["", end];
    const stripped = strip(rest);
    if (stripped && !rest.startsWith(": ") && !rest.startsWith(":\t") && stripped !== ":") return null;
    const said = strip(without(stripped, ":"));
    return [said === "(no text)" ? "" : said, end];
  }

  function errors(text) {
    const marks = frames(text);
    const found = [];
    let at = 0;
    for (const name of text.matchAll(named("name", "g"))) {
      if (!isClass(name[0])) continue;
      if (name.index && !"\n \t([|:'".includes(text[name.index - 1])) continue;
      const told = textAfter(text, name.index + name[0].length);
      if (told === null) continue;
      const above = [];
      while (at < marks.length && marks[at][0] < name.index) above.push(marks[at++][1]);
      found.push({ name: name[0], text: told[0], frames: above, start: name.index, end: told[1] });
    }
    if (found.length && at < marks.length && !found.at(-1).frames.length) {
      found.at(-1).frames = marks.slice(at).map((mark) => mark[1]);
    }
    return found;
  }

  function classAlone(text) {
    let alone = cut(cut(without(strip(text), "<class '"), "'>"), "(no text)");
    alone = strip(cutAll(strip(alone), ":"));
    const lower = alone.toLowerCase();
    const fits = isClass(alone) || ["error", "exception", "timeout"].some((end) => lower.endsWith(end));
    const match = matchAt("name", alone);
    return fits && match && match[0] === alone ? alone : "";
  }

  function sqlstates(text) {
    const lower = text.toLowerCase();
    const said = lower.includes("code") || lower.includes("state")
      ? [...text.matchAll(named("said", "g"))].map((match) => match[1]) : [];
    const alone = strip(text).toUpperCase();
    if (/^[0-9A-Z]{5}$/.test(alone) && /[0-9]/.test(alone)) said.push(alone);
    return said.map((code) => code.toUpperCase());
  }

  // -- matching.py ---------------------------------------------------------------------------

  const found = (entry, sure, evidence) => ({ entry, sure, evidence });

  function hedged(one, flat) {
    if (one.entry.generic && !named("subject").test(flat)) {
      return found(one.entry, POSSIBLE, `${one.evidence} alone, which other code says, too`);
    }
    return one;
  }

  function byTitle(flat) {
    const lower = flat.toLowerCase();
    return data.entries
      .filter((entry) => entry.title.toLowerCase() === lower)
      .map((entry) => hedged(found(entry, SURE, "the title"), flat))
      .sort((a, b) => (a.entry.title !== flat) - (b.entry.title !== flat));
  }

  const match = (entry, start, end, how) => ({ entry, start, end, length: end - start, how });

  function matches(flat) {
    const lower = flat.toLowerCase();
    const all = [];
    for (const entry of data.entries) {
      for (const [source, flags, needed] of entry.find || []) {
        if (needed.length && !needed.some((part) => lower.includes(part))) continue;
        let last = null;
        for (const one of flat.matchAll(pattern(source, `${flags}g`))) last = one;
        if (last && last[0]) all.push(match(entry, last.index, last.index + last[0].length, "the text"));
      }
    }
    return all;
  }

  function squeezed(text) {
    const tight = text.replace(new RegExp(`[${SPACE}"'\`]+`, "gu"), "");
    const lower = tight.toLowerCase();
    const all = [];
    for (const entry of data.entries) {
      for (const [source, flags, needed] of entry.loose || []) {
        if (!needed.some((part) => lower.includes(part))) continue;
        const one = pattern(source, flags).exec(tight);
        if (one && one[0]) {
          all.push(match(entry, one.index, one.index + one[0].length, "the text, but for spaces and quotes"));
        }
      }
    }
    return all;
  }

  function byFrames(raised, flat) {
    for (const error of [...raised].reverse()) {
      if (error.text) continue;
      const near = [];
      for (const entry of data.entries) {
        if (!entry.frames || !(entry.classes || []).some((name) => short(name) === short(error.name))) continue;
        const at = error.frames.findLastIndex((one) => entry.frames.some(([source, flags]) => pattern(source, flags).test(one)));
        if (at >= 0) near.push([at, entry]);
      }
      if (!near.length) continue;
      const nearest = Math.max(...near.map(([at]) => at));
      const first = near.filter(([at]) => at === nearest).map(([, entry]) => entry.id);
      const start = Math.max(flat.lastIndexOf(error.name), 0);
      return near
        .filter(([at, entry]) => at === nearest || (entry.over || []).some((id) => first.includes(id)))
        .map(([, entry]) => match(entry, start, start + error.name.length, "the frames"));
    }
    return [];
  }

  function spansOf(raised, text) {
    return raised.map((error, at) => {
      const above = flattened(text.slice(0, error.start)).length;
      const start = above + (above ? 1 : 0);
      const stop = at + 1 < raised.length ? raised[at + 1].start : text.length;
      const body = text.slice(error.start, stop);
      const end = body.search(new RegExp(`\\n[${SPACE}]*(?:Traceback|During handling|The above|File |\\+\\x2d)`, "u"));
      const length = flattened(end >= 0 ? body.slice(0, end) : body).length;
      return [start, start + Math.max(length, 1), error.name];
    });
  }

  function isNamed(entry, names, states) {
    return states.includes(entry.sqlstate || "")
      || (entry.classes || []).some((name) => names.includes(short(name).toLowerCase()));
  }

  function ofAnotherDatabase(flat) {
    const lower = flat.toLowerCase();
    return data.foreign.some(
      ([word, [source, flags]]) => data.databases.includes(word) && pattern(source, flags).test(lower),
    ) && !named("ours").test(lower);
  }

  function judged(one, spans, states, flat) {
    const { entry } = one;
    if (one.how === "the frames") return found(entry, SURE, "the class and the frames it was raised in");
    const span = spans.find(([start, end]) => start <= one.start && one.start < end);
    const own = span ? span[2] : "";
    const around = (own || flat.slice(Math.max(0, one.start - 60), one.end)).toLowerCase();
    const foreign = data.foreign.find(([, [source, flags]]) => pattern(source, flags).test(around));
    if (foreign && !(entry.about || []).includes(foreign[0])) {
      if (entry.generic || !entry.sqlstate) return null;
      return found(entry, POSSIBLE, `the words alone: the error is one of ${foreign[0]}`);
    }
    if (one.how !== "the text") return found(entry, LIKELY, one.how);
    if (!own || isNamed(entry, [short(own).toLowerCase()], states)) {
      return found(entry, SURE, own ? "the text and the class" : "the text");
    }
    return found(entry, one.length >= 24 ? SURE : LIKELY, `the text; the class is ${own}`);
  }

  function byText(text, flat) {
    const raised = errors(text);
    let all = [...matches(flat), ...byFrames(raised, flat)];
    if (!all.length) all = squeezed(text);
    if (!all.length) return [];
    const names = raised.map((error) => short(error.name).toLowerCase());
    const states = sqlstates(text);
    const spans = spansOf(raised, text);
    const rank = (one) => {
      const inside = !spans.length || spans.some(([start, end]) => start <= one.start && one.start < end);
      return [-inside, -one.end, -isNamed(one.entry, names, states), -one.length];
    };
    const ranked = all.map((one) => [rank(one), one]).sort(([a], [b]) => byNumbers(a, b));
    const best = new Map();
    for (const [, one] of ranked) {
      const key = one.entry.id + one.entry.lesson;
      if (!best.has(key)) best.set(key, one);
    }
    const ordered = [...best.values()];
    for (const one of [...ordered]) {
      const later = ordered.findIndex((other) => (one.entry.over || []).includes(other.entry.id));
      const at = ordered.indexOf(one);
      if (later >= 0 && later < at) {
        ordered.splice(at, 1);
        ordered.splice(later, 0, one);
      }
    }
    ordered.sort((a, b) => Boolean(a.entry.wraps) - Boolean(b.entry.wraps));
    const ours = ofAnotherDatabase(flat) ? ordered.filter((one) => one.entry.sqlstate) : ordered;
    return ours
      .map((one) => judged(one, spans, states, flat))
      .filter(Boolean)
      .map((one) => hedged(one, flat));
  }

  function byNumbers(a, b) {
    const at = a.findIndex((number, index) => number !== b[index]);
    return at < 0 ? 0 : a[at] - b[at];
  }

  // -- guesses.py, words.py ----------------------------------------------------------------------------

  function alone(flat) {
    let name = classAlone(flat);
    const last = errors(flat).at(-1);
    const end = flat.replace(RIGHT, "").toLowerCase();
    const headline = last && flat.includes(`${last.name} Traceback (most recent`);
    const ends = last && (end.endsWith(last.name.toLowerCase()) || end.endsWith("(no text)"));
    if (!name && last && !last.text && (headline || (ends && named("subject").test(flat)))) {
      name = last.name;
    }
    if (name) {
      const wanted = short(name).toLowerCase();
      const all = data.entries
        .filter((entry) => (entry.classes || []).some((known) => short(known).toLowerCase() === wanted))
        .map((entry) => found(entry, POSSIBLE, "only the class"));
      const textless = all.filter((one) => one.entry.frames);
      return textless.length ? textless : all;
    }
    const state = strip(flat).toUpperCase();
    return sqlstates(state).length
      ? data.entries.filter((entry) => entry.sqlstate === state).map((entry) => found(entry, POSSIBLE, "only the SQLSTATE"))
      : [];
  }

  function stems(text) {
    const words = (text.toLowerCase().match(/[a-z0-9_]+/g) || []).filter((word) => !data.stop.includes(word) && !/^[0-9]{1,3}$/.test(word));
    const all = words.map((word) => word.replace(/ies$/, "y").replace(/(?:ing|ed|es|s|e)$/, ""));
    return new Set(all.map((stem) => (Object.hasOwn(data.same, stem) ? data.same[stem] : stem)));
  }

  function byWords(flat) {
    if (flat.length > 400 || errors(flat).length || named("logged").test(flat)) return [];
    if (ofAnotherDatabase(flat)) return [];
    const said = [...stems(flat)];
    const told = data.entries.filter((entry) => (entry.words || []).length);
    const bags = told.map((entry) => new Set(entry.words.flatMap((words) => [...stems(words)])));
    const weight = (stem) => {
      const entries = bags.filter((bag) => bag.has(stem)).length;
      if (entries > 0 && entries < 3) return 3;
      return entries > 0 && entries < 7 ? 2 : 1;
    };
    const weights = new Map(said.map((stem) => [stem, weight(stem)]));
    const sum = (all) => all.reduce((total, stem) => total + weights.get(stem), 0);
    const whole = sum(said);
    const ours = said.some((stem) => data.own.includes(stem));
    const scored = [];
    told.forEach((entry, index) => {
      const hits = said.filter((stem) => bags[index].has(stem));
      const score = sum(hits);
      const near = Math.max(...entry.words.map((words) => said.filter((stem) => stems(words).has(stem)).length));
      if (described(said, entry.words)) scored.push([[-score - near - whole, -hits.length], entry]);
      else if (ours && isEnough(score, whole, hits.length)) scored.push([[-score - near, -hits.length], entry]);
    });
    scored.sort(([a], [b]) => byNumbers(a, b));
    return scored.slice(0, 3).map(([, entry]) => found(entry, POSSIBLE, "your words"));
  }

  function isEnough(score, whole, hits) {
    if (hits > 3) return score * 3 >= whole;
    return hits > 2 ? score * 5 >= whole * 2 : score > 4 && score * 2 >= whole;
  }

  function described(said, descriptions) {
    return descriptions.some((words) => {
      const meant = stems(words);
      const hit = said.filter((stem) => meant.has(stem)).length;
      const enough = meant.size - (meant.size > 3) - (meant.size > 6);
      return hit >= 2 && hit >= enough && hit * (hit < 3 ? 3 : 4) >= said.length;
    });
  }

  function unknown(text) {
    const raised = errors(text);
    const state = sqlstates(text).at(-1);
    const name = raised.length ? raised.at(-1).name : classAlone(text);
    const family = before(name, ".").toLowerCase();
    if (!data.foreign.some(([word]) => word === family) && Object.hasOwn(data.classes, short(name))) {
      return { found: [], name: short(name), general: data.classes[short(name)] };
    }
    if (state && Object.hasOwn(data.states, state.slice(0, 2))) {
      return { found: [], name: state, general: data.states[state.slice(0, 2)] };
    }
    return { found: [], name: short(name), general: "" };
  }

  function answer(pasted) {
    const text = strip(lines(pasted).join("\n"));
    if (!text) return { found: [], name: "", general: "" };
    const flat = flattened(text);
    for (const look of [byTitle, () => byText(text, flat), alone, byWords]) {
      const all = look(flat);
      if (all.length) return { found: all, name: "", general: "" };
    }
    return unknown(text);
  }

  return { answer, collect: data.collect };
}

if (typeof module !== "undefined") module.exports = firedrill;
