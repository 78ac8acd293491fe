// The front end of the cell editor: draws what Python gives, sends what a person wants.
// What is selected and which cell is shown belong to one view; everything else is Python's.
// tag, fill, put and messenger come from common.js.

const SVG = "http://www.w3.org/2000/svg";

const shape = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);
const count = (number) => number.toLocaleString("en");

function render({ model, el }) {
  const { name: id, send: sendOn, close } = messenger(model, say);
  let role = "normal";
  let selected = null; // the key of a node
  let option = 0; // the active operation of the palette

  const send = (action, more = {}, then = () => {}) =>
    sendOn({ do: action, ...more }, () => redraw(drawMessage, then));
  const cell = () => model.get("view").cells[role];
  const node = (key) => cell().diagram?.nodes.find((one) => one.key === key);
  const chosen = () => node(selected);

  const button = (key, text, action, more = {}) =>
    tag("button", { type: "button", "data-key": key, onclick: action, ...more }, text);
  const part = (name, more = {}) => tag("div", { class: `nwb-${name}`, ...more });

  const tools = part("tools");
  const picture = part("picture", { role: "tabpanel", id: `${id}-panel` });
  const message = part("message", { role: "status", "aria-live": "polite" });
  const choice = part("choice");
  const numbers = part("numbers");
  const training = part("training");
  const loading = part("loading");
  const sizes = part("sizes", { role: "group", "aria-label": "size of the network" });
  const root = part("editor", {
    "data-lm-suppress-shortcuts": "true", // else JupyterLab takes the arrow keys
    role: "group",
    "aria-label": "cell editor",
    onkeydown: undoKeys,
  });
  root.append(tools, picture, message, tag("div", { class: "nwb-columns" }, choice,
    tag("div", { class: "nwb-side" }, sizes, numbers, training)), loading);
  el.replaceChildren(root);

  // ---- drawing, with the focus kept where it was

  function redraw(...parts) {
    const focused = root.querySelector(":focus")?.dataset.key;
    for (const draw of parts) draw();
    if (focused && !root.querySelector(":focus")) focus(focused) || focus(selected);
  }
  function focus(key) {
    const found = key && root.querySelector(`[data-key="${CSS.escape(key)}"]`);
    found?.focus();
    return Boolean(found);
  }
  function select(key, focusOn) {
    selected = key;
    redraw(drawPicture, drawChoice);
    if (focusOn) focus(focusOn);
  }
  function show(name, focusOn) {
    role = name;
    select(null);
    redraw(drawTools);
    if (focusOn) focus(`tab-${name}`);
  }

  // ---- the bar: which cell, undo, random

  function drawTools() {
    const view = model.get("view");
    const tab = (name) =>
      button(`tab-${name}`, `${name} cell`, () => show(name), {
        role: "tab",
        "aria-selected": String(name === role),
        "aria-controls": `${id}-panel`,
        tabindex: name === role ? 0 : -1,
        onkeydown: (event) => {
          if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
          event.preventDefault();
          show(name === "normal" ? "reduction" : "normal", true);
        },
      });
    const off = (able) => ({ "aria-disabled": String(!able) });
    tools.replaceChildren(
      tag("div", { role: "tablist", "aria-label": "which cell" }, tab("normal"), tab("reduction")),
      button("undo", "Undo", () => send("undo"), { title: "Ctrl-Z", ...off(view.can_undo) }),
      button("redo", "Redo", () => send("redo"), { title: "Ctrl-Shift-Z", ...off(view.can_redo) }),
      button("add", "Add block", () => send("add_block", { role })),
      button("random", "Random cells", () => send("random")),
      button("mutate", "Mutate", () => send("mutate"), { title: "change one decision at random" }),
      tag("span", { class: "nwb-faint" },
        [view.name, view.space, view.tied ? "both cells are one" : ""].filter(Boolean).join(" · ")),
    );
  }
  function undoKeys(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    if (event.target.matches("textarea, input")) return; // these undo their own text
    event.preventDefault();
    event.stopPropagation();
    send(event.shiftKey ? "redo" : "undo");
  }

  // ---- the diagram

  function drawPicture() {
    const { diagram, problem, states } = cell();
    picture.setAttribute("aria-label", `${role} cell`);
    if (!diagram) {
      picture.replaceChildren(tag("p", { class: "nwb-problem" }, problem));
      return;
    }
    const { width, height, nodes, edges, frames } = diagram;
    const margin = 8, scale = 1.6;
    const svg = shape("svg", {
      viewBox: `${-margin} ${-margin} ${width + 2 * margin} ${height + 2 * margin}`,
      style: `width: ${scale * (width + 2 * margin)}px; min-width: ${width + 2 * margin}px`,
      role: "group",
      "aria-label": `${role} cell: ${states.length} hidden states`,
    });
    const faded = (thing) => (thing.used ? "" : " nwb-unused");
    for (const { x, y, width, height, used } of frames)
      svg.append(shape("rect", { x, y, width, height, rx: 6, class: `nwb-frame${faded({ used })}` }));
    for (const edge of edges) {
      const near = selected && (edge.source === selected || edge.target === selected);
      svg.append(shape("g", { class: `nwb-edge nwb-${edge.kind}${faded(edge)}${near ? " nwb-near" : ""}` },
        shape("path", { d: edge.path, class: "nwb-line" }), shape("path", { d: edge.tip })));
    }
    for (const one of nodes) svg.append(drawNode(one));
    picture.replaceChildren(svg);
  }
  function drawNode(one) {
    const { x, y, width, height, kind, lines } = one;
    const on = one.key === selected;
    const act = (event) => {
      event.stopPropagation();
      activate(one);
    };
    const group = shape("g", {
      class: `nwb-node nwb-${kind}${one.used ? "" : " nwb-unused"}${on ? " nwb-on" : ""}${offered(one) ? " nwb-offered" : ""}`,
      role: "button",
      tabindex: 0,
      "data-key": one.key,
      "aria-label": one.label + (!offered(one) ? "" : chosen().kind === "output" ? "; in or out of the output" : "; connect to it"),
      "aria-pressed": String(on),
      onclick: act,
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") event.preventDefault(), act(event);
        else if (event.key === "Escape") select(null, one.key);
      },
    });
    const [left, top] = [x - width / 2, y - height / 2];
    const corner = height / 3;
    const points = [[left, y], [left + corner, top], [x + width / 2 - corner, top], [x + width / 2, y],
      [x + width / 2 - corner, top + height], [left + corner, top + height]];
    const round = kind === "input" || (kind === "combine" && lines[1] === "add");
    group.append(
      round ? shape("ellipse", { cx: x, cy: y, rx: width / 2, ry: height / 2 })
      : kind === "combine" ? shape("polygon", { points: points.map((point) => point.join()).join(" ") })
      : shape("rect", { x: left, y: top, width, height, rx: kind === "operation" ? 4 : 0 }),
      ...lines.map((line, row) =>
        shape("text", { x, y: y + 3.5 + 10.5 * (row - (lines.length - 1) / 2), "text-anchor": "middle" }, line)),
    );
    return group;
  }

  // While an operation is selected, a hidden state is connected to it; while the output is, it joins.
  function offered(one) {
    const target = chosen();
    if (!target || one.state == null || one.key === selected) return false;
    if (target.kind === "output") return true;
    return target.kind === "operation" && one.state < cell().inputs + target.block;
  }
  function activate(one) {
    const target = chosen();
    const own = target && target.block === one.block; // one cannot mean to connect a block to itself
    if (target?.kind === "operation" && one.state != null && !own) {
      send("connect", { role, block: target.block, side: target.side, state: one.state });
      if (offered(one)) select(null, target.key);
    } else if (target?.kind === "output" && one.state != null) {
      send("toggle_output", { role, state: one.state });
    } else {
      option = one.kind === "operation" ? Math.max(0, model.get("view").operations.indexOf(operationOf(one))) : 0;
      const again = one.key === selected;
      select(again ? null : one.key, again ? one.key : one.kind === "operation" ? "palette" : one.key);
    }
  }
  const operationOf = (one) => cell().blocks[one.block][`${one.side}_op`];

  // ---- what can be done with the selected node

  function drawChoice() {
    const one = chosen();
    const title = (text) => tag("strong", { class: "nwb-title" }, text);
    const hint = (text) => tag("p", { class: "nwb-faint" }, text);
    const escape = (event) => {
      if (event.key === "Escape") event.stopPropagation(), select(null, one.key);
    };
    choice.onkeydown = escape;
    if (!one)
      choice.replaceChildren(hint("Select an operation to choose another or to connect its input, a " +
        "block's round or six-sided node to change how it combines, or the output to choose what joins it."));
    else if (one.kind === "operation") {
      const names = cell().states.slice(0, cell().inputs + one.block);
      const reads = cell().blocks[one.block][one.side];
      choice.replaceChildren(title(one.label), palette(one),
        hint("Its input: choose here, or select a hidden state in the diagram."),
        toggles("its input", names, (state) => state === reads, (state) => {
          send("connect", { role, block: one.block, side: one.side, state });
          select(null, one.key);
        }));
    } else if (one.kind === "combine")
      choice.replaceChildren(title(one.label),
        toggles("combination", model.get("view").combinations,
          (place, name) => name === cell().blocks[one.block].combine,
          (place, combine) => send("set_combination", { role, block: one.block, combine })),
        button("remove", `Remove block ${one.block}`, () => send("remove_block", { role, block: one.block })));
    else if (one.kind === "output")
      choice.replaceChildren(title(one.label),
        tag("label", {}, tag("input", {
          type: "checkbox", "data-key": "automatic", checked: cell().automatic,
          onchange: (event) => send("set_automatic", { role, on: event.target.checked }),
        }), " automatic: the blocks that no block reads"),
        hint("Or choose: here, or by selecting hidden states in the diagram."),
        toggles("states that join the output", cell().states, (state) => cell().concat.includes(state),
          (state) => send("toggle_output", { role, state })));
    else choice.replaceChildren(title(one.label), hint("Select an operation first, then this state to connect it."));
  }
  function toggles(label, names, pressed, act) {
    return tag("div", { role: "group", "aria-label": label, class: "nwb-toggles" },
      ...names.map((name, place) => button(`${label}-${place}`, name, () => act(place, name),
        { "aria-pressed": String(pressed(place, name)) })));
  }
  function palette(one) {
    const names = model.get("view").operations;
    const take = (place) => {
      send("set_operation", { role, block: one.block, side: one.side, operation: names[place] });
      select(null, one.key);
    };
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -names.length, End: names.length };
    return tag("div", {
      role: "listbox",
      tabindex: 0,
      class: "nwb-palette",
      "data-key": "palette",
      "aria-label": `operation of block ${one.block}, ${one.side}`,
      "aria-activedescendant": `${id}-option-${option}`,
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") event.preventDefault(), take(option);
        else if (event.key in steps) {
          event.preventDefault();
          option = Math.min(Math.max(option + steps[event.key], 0), names.length - 1);
          redraw(drawChoice);
        }
      },
    }, ...names.map((name, place) => tag("div", {
      role: "option",
      id: `${id}-option-${place}`,
      class: place === option ? "nwb-active" : null,
      "aria-selected": String(name === operationOf(one)),
      onclick: () => take(place),
    }, name)));
  }

  // ---- what it costs, as text, and how good it is

  function drawNumbers() {
    const found = model.get("numbers");
    put(numbers,
      found.problem ? tag("p", { class: "nwb-problem" }, found.problem) : tag("dl", {},
        tag("dt", {}, "parameters"), tag("dd", { class: "nwb-parameters" }, count(found.parameters)),
        tag("dt", {}, "mult-adds"), tag("dd", {}, count(found.mult_adds)),
        ...found.stages.flatMap(({ name, shape: [height, width, channels] }) =>
          [tag("dt", {}, name), tag("dd", {}, `${height} × ${width} × ${channels}`)])),
      found.measured ? tag("p", { class: "nwb-measured" }, found.measured) : null,
    );
    texts.JSON.value = found.json;
    texts.DARTS.value = found.darts;
    reason.textContent = found.no_darts;
    texts.DARTS.parentElement.hidden = !found.darts;
    root.querySelector("[data-key='copy-DARTS']").hidden = !found.darts;
  }

  // A field keeps what is typed until it is sent: by Enter, or by leaving the field.
  const inputs = {}, typed = new Set(), asked = new Map();
  for (const [name, text, label] of [
    ["cells", "N", "N, normal cells per stage"], ["filters", "F", "F, filters of the first stage"],
    ["image_size", "image", "side of the images"]]) {
    const sendSize = () => {
      if (!typed.delete(name)) return;
      const value = inputs[name].value === "" ? null : Number(inputs[name].value);
      asked.set(name, (asked.get(name) ?? 0) + 1);
      send("set_size", { name, value }, () => {
        asked.set(name, asked.get(name) - 1);
        drawSizes();
      });
    };
    inputs[name] = tag("input", {
      type: "number", min: 1, "data-key": name, "aria-label": label, title: label,
      oninput: () => typed.add(name), onchange: sendSize,
      onkeydown: (event) => { if (event.key === "Enter") sendSize(); },
    });
    sizes.append(tag("label", {}, text, " ", inputs[name]));
  }
  function drawSizes() {
    for (const [name, size] of Object.entries(model.get("numbers").sizes))
      if (!typed.has(name) && !asked.get(name)) inputs[name].value = size;
  }

  function drawTraining() {
    const { available, running, done, total, words, known } = model.get("training");
    const said = [words, known && known !== words ? known : ""].filter(Boolean).join("; ");
    put(training,
      button("train", running ? "Stop" : "Train this cell", () => send(running ? "stop" : "train"),
        { "aria-disabled": String(!available) }),
      running ? tag("progress", { max: total || 1, "aria-label": "progress of the training",
        ...(total ? { value: Math.min(done, total) } : {}) }) : null,
      tag("span", { class: "nwb-faint" }, said),
    );
  }
  function drawMessage() {
    const { text, kind } = model.get("message");
    say(kind === "problem" ? `Refused: ${text}` : text, kind);
  }
  function say(text, kind = "problem") {
    message.className = `nwb-message nwb-${kind}`;
    message.textContent = text;
  }

  // ---- loading and copying: built once, so that no redrawing takes a half-typed text away

  const texts = {};
  const reason = tag("p", { class: "nwb-faint" }); // why DARTS cannot say it
  const published = tag("select", { "data-key": "published", "aria-label": "published genotypes" },
    ...model.get("view").zoo.map((name) => tag("option", {}, name)));
  const pasted = tag("textarea", { rows: 3, "data-key": "pasted", "aria-label": "a genotype as text",
    placeholder: "a genotype as JSON, or as DARTS, slim, ENAS or NNI write it" });
  const form = tag("select", { "data-key": "form", "aria-label": "form of the text" },
    tag("option", { value: "" }, "recognise the form"),
    ...model.get("view").forms.map((name) => tag("option", { value: name }, name)));
  const copied = (name) => tag("div", { class: "nwb-text" },
    tag("label", {}, `as ${name} `,
      texts[name] = tag("textarea", { rows: 2, readonly: true, "data-key": `text-${name}` })),
    button(`copy-${name}`, `Copy ${name}`, () => copy(name)));
  loading.append(
    tag("div", { class: "nwb-row" }, tag("label", {}, "published cells ", published),
      button("load", "Load", () => send("load_zoo", { name: published.value }))),
    tag("details", {}, tag("summary", { "data-key": "paste" }, "Paste a genotype"), pasted,
      tag("div", { class: "nwb-row" }, form,
        button("read", "Read the text", () => send("paste", { text: pasted.value, form: form.value })))),
    tag("details", {}, tag("summary", { "data-key": "texts" }, "This genotype as text"),
      copied("JSON"), copied("DARTS"), reason));
  async function copy(name) {
    texts[name].focus();
    texts[name].select(); // where the clipboard is closed to pages, Ctrl-C takes what is selected
    let done = false;
    try {
      await navigator.clipboard.writeText(texts[name].value);
      done = true;
    } catch {
      done = document.execCommand("copy");
    }
    say(done ? `${name} copied` : `${name} is selected: press Ctrl-C to copy it`, "text");
  }

  // ---- Python's answers

  const answers = {
    "change:view": () => {
      if (!chosen()) selected = null;
      redraw(drawTools, drawPicture, drawChoice);
    },
    "change:numbers": () => redraw(drawSizes, drawNumbers),
    "change:training": () => redraw(drawTraining),
    "change:message": () => redraw(drawMessage),
  };
  redraw(drawTools, drawPicture, drawChoice, drawSizes, drawNumbers, drawTraining, drawMessage);
  for (const [event, answer] of Object.entries(answers)) model.on(event, answer);
  return () => {
    close();
    for (const [event, answer] of Object.entries(answers)) model.off(event, answer);
  };
}

export default { render };
