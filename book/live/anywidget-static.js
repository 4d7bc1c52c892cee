// Brings the book's anywidgets to life in a page with no kernel and no network: reads the widget state that the notebook
// left in the page, and renders each view where it stands. Only anywidget models; anything else says so, visibly.
(() => {
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const modules = new Map(); // source text -> promise of its widget, so that equal modules are loaded once

  function load(source) {
    if (!modules.has(source)) {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      const widget = import(url).then(async ({ default: value }) => (typeof value === "function" ? value() : value));
      modules.set(source, widget.finally(() => URL.revokeObjectURL(url)));
    }
    return modules.get(source);
  }

  // The book keeps a large module in a file of its own (book/_ext/lbgap_book.py): a plain script that carries it as text.
  const fetched = (src) => new Promise((yes, no) => {
    const script = Object.assign(document.createElement("script"), { src });
    script.onload = () => yes(script.module);
    script.onerror = () => no(new Error(`its module ${src} could not be loaded; reload the page to try again`));
    document.head.append(script);
  });
  const near = (place) => new Promise((go) => {
    const observer = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && (observer.disconnect(), go()), { rootMargin: "600px" });
    observer.observe(place);
  });

  function restore(state, buffers = []) {
    for (const { path, data, encoding } of buffers) {
      if (encoding !== "base64") throw new Error(`buffer ${path.join(".")} has encoding "${encoding}"; expected "base64"`);
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      path.slice(0, -1).reduce((at, key) => at[key], state)[path.at(-1)] = new DataView(bytes.buffer);
    }
    return state;
  }

  // What anywidget promises to a module: get, set, on, off, save_changes. All views of a model share it.
  class Model {
    constructor({ state, buffers }) {
      this.state = restore({ ...state }, buffers);
      this.listeners = new Map();
    }
    get(key) { return this.state[key]; }
    set(key, value) {
      if (this.state[key] === value) return;
      this.state[key] = value;
      for (const f of [...(this.listeners.get("change:" + key) ?? [])]) f(this, value);
      for (const f of [...(this.listeners.get("change") ?? [])]) f(this);
    }
    on(names, f) { for (const name of names.split(/\s+/)) this.listeners.set(name, (this.listeners.get(name) ?? new Set()).add(f)); }
    off(names, f) {
      for (const name of names ? names.split(/\s+/) : [...this.listeners.keys()])
        f ? this.listeners.get(name)?.delete(f) : this.listeners.delete(name);
    }
    save_changes() {}
    send() {}
    start() {
      return (this.started ??= (async () => {
        const { _esm_file, _model_name } = this.state, _esm = _esm_file ? await fetched(_esm_file) : this.state._esm;
        if (typeof _esm !== "string") throw new Error(`${_model_name ?? "its model"} has no module (_esm): only anywidgets work without a kernel`);
        const widget = await load(_esm);
        await widget.initialize?.({ model: this });
        return widget;
      })());
    }
  }

  async function show(script, models) {
    const place = document.createElement("div");
    place.className = "anywidget-static";
    script.after(place);
    try {
      const id = JSON.parse(script.textContent).model_id, model = models.get(id);
      if (!model) throw new Error(`the page has no state for the model ${id}: run the notebook again and keep its widget state`);
      if (model instanceof Error) throw model;
      if (model.state._esm_file) {
        place.textContent = "This figure is loaded when you come near it.";
        place.style.minHeight = "20rem"; // about its height, so that little moves
        await near(place);
      }
      const widget = await model.start();
      place.textContent = place.style.minHeight = "";
      if (model.state._css) place.append(Object.assign(document.createElement("style"), { textContent: model.state._css }));
      const el = place.appendChild(document.createElement("div"));
      await widget.render?.({ model, el });
    } catch (error) {
      console.error(error);
      const text = `This interactive figure could not be shown: ${error.message}`;
      place.style.minHeight = "";
      place.replaceChildren(Object.assign(document.createElement("p"), { textContent: text, role: "alert" }));
      place.firstChild.setAttribute("style", "border: 2px solid #d0342c; padding: 0.5em");
    }
    place.dataset.ready = "";
  }

  function all() {
    const models = new Map();
    for (const script of document.querySelectorAll(STATE))
      for (const [id, entry] of Object.entries(JSON.parse(script.textContent).state))
        try { models.set(id, new Model(entry)); } catch (error) { models.set(id, error); }
    document.querySelectorAll(VIEW).forEach((script) => show(script, models));
  }
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", all) : all();
})();
