// Shared by the front ends: Python puts it before each of them.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}
const tag = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);
const put = (host, ...children) => host.replaceChildren(...children.filter((child) => child != null));

const NO_KERNEL = "no kernel answers: run this cell again";
const BUSY = "the kernel is busy: this follows as soon as it is free. " +
  "If the kernel was restarted, run this cell again.";
const PATIENCE = 2500, GRACE = 1000; // milliseconds

// One view's way to Python. Every message carries an id, and Python answers with it when all is done;
// where no answer comes, `say` is told. `name` is the view's own, different from all others on a page.
function messenger(model, say) {
  const name = `nwb-${Math.random().toString(36).slice(2)}`;
  const waiting = new Map(); // id of a message -> { timer, then }
  let count = 0;
  const end = (id) => {
    const message = waiting.get(id);
    clearTimeout(message?.timer);
    waiting.delete(id);
    return message;
  };
  const answered = ({ answer }) => end(answer)?.then();
  const lost = (id) => {
    if (end(id)) say(NO_KERNEL);
  };
  model.on("msg:custom", answered);

  function send(content, then) {
    const id = `${name}-${++count}`;
    waiting.set(id, { then, timer: setTimeout(() => say(BUSY), PATIENCE) });
    // a kernel that is done with a message and has not answered does not know this widget
    const status = ({ content }) => {
      if (content.execution_state === "idle") setTimeout(() => lost(id), GRACE);
    };
    try {
      model.send({ ...content, id }, { iopub: { status } });
    } catch {
      lost(id); // the kernel was restarted, and its widgets' connections are closed
    }
  }
  function close() {
    model.off("msg:custom", answered);
    for (const id of [...waiting.keys()]) end(id);
  }
  return { name, send, close };
}
