// Pictures that are dropped or pasted anywhere on the page go where chosen files go.
(() => {
  const hand = (files) => {
    const input = document.querySelector("#pellucid-upload input[type=file]");
    if (!input || !files.length) return;
    const all = new DataTransfer();
    for (const file of files) all.items.add(file);
    input.files = all.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const typing = (node) => node.closest && node.closest("textarea, input:not([type=file]):not([type=range])");
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData ? event.clipboardData.files : [];
    if (files.length && !typing(event.target)) {
      event.preventDefault();
      event.stopPropagation();
      hand(files);
    }
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.parentElement.querySelector("pre");
    // The clipboard's own interface is there on secure pages alone; a selection can be copied everywhere.
    getSelection().selectAllChildren(text);
    if (navigator.clipboard) navigator.clipboard.writeText(text.textContent);
    else document.execCommand("copy");
    button.firstChild.textContent = "Copied";
    setTimeout(() => (button.firstChild.textContent = "Copy"), 1500);
  });
  document.addEventListener("dragover", (event) => event.preventDefault(), true);
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    hand(event.dataTransfer.files);
  }, true);
})();
