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
  document.addEventListener("dragover", (event) => event.preventDefault(), true);
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    hand(event.dataTransfer.files);
  }, true);
})();
