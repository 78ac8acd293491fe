// A row of buttons. One that makes no sense now keeps the keyboard's focus; pressed, Python says why.
// tag, put and messenger come from common.js.

function render({ model, el }) {
  const problem = tag("span", { role: "status", class: "nwb-problem" });
  const { send, close } = messenger(model, (words) => (problem.textContent = words));
  const buttons = Object.entries(model.get("tips")).map(([name, title]) =>
    tag("button", { type: "button", title, onclick: () => send({ press: name }, () => put(problem)) }, name));
  const draw = () => {
    for (const button of buttons)
      button.setAttribute("aria-disabled", String(!model.get("offered").includes(button.textContent)));
  };
  draw();
  model.on("change:offered", draw);
  put(el, tag("div", { class: "nwb-buttons", "data-lm-suppress-shortcuts": "true" }, ...buttons, problem));
  return () => {
    close();
    model.off("change:offered", draw);
  };
}

export default { render };
