/* Light or dark: as the system has it until the button says otherwise, which is remembered. */
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const ofSystem = () => (system.matches ? "dark" : "light");
  const show = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    document.dispatchEvent(new Event("theme"));
  };
  const remember = (theme) => {
    try {
      if (theme) localStorage.setItem("theme", theme);
      else localStorage.removeItem("theme");
    } catch { /* a browser that keeps nothing */ }
  };
  try { show(localStorage.getItem("theme")); } catch { /* as above */ }
  system.addEventListener("change", () => document.dispatchEvent(new Event("theme")));
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".theme")) return;
    const other = (root.dataset.theme ?? ofSystem()) === "dark" ? "light" : "dark";
    const theme = other === ofSystem() ? null : other;
    show(theme);
    remember(theme);
  });
})();
