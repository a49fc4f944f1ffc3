// What widgets cannot say for themselves: names and states for screen readers, downloads that start
// by themselves, comparing by dragging, a warning before a run is left; in Voila also its theme.
(() => {
  if (window.nstStudio) return window.nstStudio();
  const all = (css, work) => document.querySelectorAll(css).forEach(work);
  const set = (node, name, value) => node.getAttribute(name) !== value && node.setAttribute(name, value);
  const textOf = (node) => node?.textContent.trim() ?? "";
  let groups = 0, saved = 0;

  function describe() {
    all(".nst-studio [title=null], .nst-studio [title='']", (node) => node.removeAttribute("title"));
    all(".nst-studio .noUi-handle", (handle) => {
      const slider = handle.closest(".jupyter-widgets");
      const isFilm = slider.classList.contains("nst-film");
      const said = isFilm ? slider.closest(".nst-studio").querySelector(".nst-frame")
        : slider.querySelector(".widget-readout");
      set(handle, "aria-label", textOf(slider.querySelector(".widget-label")));
      if (textOf(said)) set(handle, "aria-valuetext", textOf(said));
    });
    all(".nst-studio .widget-readout[contenteditable]", (readout) => {
      set(readout, "role", "textbox");
      set(readout, "aria-label", textOf(readout.closest(".jupyter-widgets").querySelector(".widget-label")));
    });
    all(".nst-pictures", (choice) => {
      const box = choice.querySelector(".widget-radio-box");
      if (!box) return;
      set(box, "role", "radiogroup");
      set(box, "aria-label", textOf(choice.querySelector("h2")));
      box.dataset.group ??= `nst-group-${++groups}`;
      box.querySelectorAll("input").forEach((radio) => set(radio, "name", box.dataset.group));
    });
    all(".nst-studio .nst-heading", (button) => {
      set(button, "aria-expanded", String(button.classList.contains("mod-active")));
      button.removeAttribute("aria-pressed");
    });
    all(".nst-studio .nst-try", (button) => {
      if (button.title) set(button, "aria-label", button.title);
    });
    all(".nst-state .widget-html-content", (node) => set(node, "role", "status"));
    all(".nst-progress", (node) => {
      const bar = node.querySelector(".progress") ?? node;
      set(bar, "role", "progressbar");
      set(bar, "aria-label", "How much of the work is done");
      set(bar, "aria-valuenow", String(parseInt(node.querySelector(".progress-bar")?.style.width) || 0));
    });
    // How many files it holds: none, since each is taken at once. Its icon has no name.
    all(".nst-studio .widget-upload", (button) => button.childNodes.forEach((node) => {
      if (node.nodeType === Node.ELEMENT_NODE) set(node, "aria-hidden", "true");
      else if (/ \(\d+\)$/.test(node.data)) node.data = node.data.replace(/ \(\d+\)$/, "");
    }));
    all(".nst-studio input[type=file]", (input) => {
      set(input, "tabindex", "-1");
      set(input, "aria-hidden", "true");
    });
    // A large file comes as bytes, as a picture that is not shown.
    all("img.nst-file", (file) => set(file, "alt", ""));
    all("a[data-nst-file]", (link) => {
      const file = link.closest(".nst-studio").querySelector("img.nst-file");
      if (file?.src.startsWith("blob:")) set(link, "href", file.src);
    });
    all("a[data-nst-download]", (link) => {
      if (link.dataset.done) return;
      link.dataset.done = "yes";
      if (Date.now() - saved < 60000) link.click();  // not where a page is found again
    });
  }

  let waiting = false;
  window.nstStudio = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; describe(); });
  };
  new MutationObserver(window.nstStudio).observe(document.body, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class"],
  });
  window.nstStudio();

  document.addEventListener("click", (event) => {
    if (event.target.closest?.(".nst-save-picture, .nst-save-film")) saved = Date.now();
  }, true);

  // JupyterLab takes the arrow keys for itself, by which one chooses in a group of radio buttons.
  window.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const group = event.target.closest?.(".nst-pictures .widget-radio-box");
    if (!step || !group || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const radios = [...group.querySelectorAll("input")];
    const next = radios.at((radios.indexOf(event.target) + step) % radios.length);
    next.focus();
    next.click();
  }, true);

  // Comparing: dragging across the picture moves the slider below it.
  document.addEventListener("pointerdown", (event) => {
    const picture = event.target.closest?.(".nst-stage img");
    const bar = picture?.closest(".nst-studio").querySelector(".nst-compare .noUi-target")?.noUiSlider;
    if (!bar || event.button) return;
    event.preventDefault();
    const { left, width } = picture.getBoundingClientRect();
    let last = 0;
    const move = (at) => {
      if (at.timeStamp - last < 50 && at.type === "pointermove") return;
      last = at.timeStamp;
      bar.set(Math.round(100 * Math.min(1, Math.max(0, (at.clientX - left) / width))));
    };
    const end = (at) => {
      if (at.type === "pointerup") move(at);
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", end);
      document.removeEventListener("pointercancel", end);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
  });

  // Leaving: Voila ends the connection even of who then stays, so it is not asked.
  const voila = document.body.dataset.voila && JSON.parse(textOf(document.getElementById("jupyter-config-data")) || "{}");
  window.addEventListener("beforeunload", (event) => {
    if (voila) event.stopImmediatePropagation();
    if (document.querySelector(".nst-running")) event.preventDefault();
  }, true);
  if (!voila) return;

  const kernel = voila.kernelId, base = voila.baseUrl;
  window.addEventListener("pagehide", () => navigator.sendBeacon(`${base}voila/api/shutdown/${kernel}`));
  document.documentElement.lang ||= "en";
  document.getElementById("rendered_cells")?.setAttribute("role", "main");

  if (!new URLSearchParams(location.search).has("theme")) {
    const dark = matchMedia("(prefers-color-scheme: dark)"), sheet = document.createElement("link");
    Object.assign(sheet, { rel: "stylesheet", media: dark.media,
      href: `${base}voila/api/themes/@jupyterlab/theme-dark-extension/index.css` });
    document.head.append(sheet);
    const follow = () => {
      document.body.dataset.jpThemeLight = String(!dark.matches);
      document.body.classList.toggle("theme-dark", dark.matches);
      document.body.classList.toggle("theme-light", !dark.matches);
    };
    dark.addEventListener("change", follow);
    follow();
  }

  // A server that is gone, or a studio that has ended, is said.
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(`${base}api/kernels/${kernel}`).catch(() => null);
    const lost = answer?.ok ? "" : answer ? "This studio has ended. " : "The connection is lost. ";
    const old = document.getElementById("nst-lost");
    if (!lost) return old?.remove();
    const note = old ?? document.body.appendChild(document.createElement("div"));
    note.id = "nst-lost";
    note.setAttribute("role", "alert");
    note.innerHTML = `${lost}<a href="">Load the page again</a>`;
  }, 10000);
})();
