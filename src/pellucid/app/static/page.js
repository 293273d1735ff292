// A call is sent once all of the answer before is there: none overtakes another, as Fill in the last stroke, and no
// older answer is drawn over a newer one.
(() => {
  const send = window.fetch;
  let last = Promise.resolve();
  window.fetch = (address, options) => {
    if (!String(address).includes("/gradio_api/run/")) return send(address, options);
    const answer = last.then(() => send(address, options)).then(async (begun) => new Response(await begun.text(), begun));
    last = answer.catch(() => {});
    return answer;
  };
})();
// Pictures that are dropped or pasted anywhere on the page go where chosen files go.
(() => {
  // Each by itself: one that is refused takes none of the others with it, and is named with its reason.
  const hand = async (files) => {
    const handed = (window.pellucidHanded ??= []), label = document.querySelector(".pellucid-add span");
    let number = 0;
    for (const file of files) {
      label.textContent = `Adding ${++number} of ${files.length}`;
      if (file.size > window.pellucidMost) {
        const megabytes = (bytes) => Math.round(bytes / 1e5) / 10;
        const reason = `has ${megabytes(file.size)} MB, more than the ${megabytes(window.pellucidMost)} allowed here`;
        handed.push({ name: file.name, reason });
        continue;
      }
      const form = new FormData();
      form.append("files", file);
      try {
        const answer = await fetch("gradio_api/upload", { method: "POST", body: form });
        // A form writes quotation marks otherwise.
        if (answer.ok) handed.push({ path: (await answer.json())[0], name: file.name });
        else handed.push({ name: file.name, reason: (await answer.text()).trim() });
      } catch {
        handed.push({ name: file.name, reason: "did not arrive: choose it again" });
      }
    }
    label.textContent = "Add photographs";
    if (handed.length) document.querySelector(".pv").dispatchEvent(new CustomEvent("pellucid-taken"));
  };
  document.addEventListener("change", (event) => {
    if (!event.target.matches("#pellucid-upload input[type=file]")) return;
    hand([...event.target.files]);
    event.target.value = "";
  });
  const typing = (node) => node.closest && node.closest("textarea, input:not([type=file]):not([type=range])");
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData ? event.clipboardData.files : [];
    if (files.length && !typing(event.target)) {
      event.preventDefault();
      event.stopPropagation();
      hand([...files]);
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
    button.addEventListener("blur", () => (button.firstChild.textContent = "Copy"), { once: true });
  });
  document.addEventListener("dragover", (event) => event.preventDefault(), true);
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    hand([...event.dataTransfer.files]);
  }, true);
  // Who pressed far down a long page, or on a phone, sees what went wrong.
  let said = "";
  new MutationObserver(() => {
    const alert = document.querySelector("#pellucid-status [role=alert]"), now = alert ? alert.innerText : "";
    if (now && now !== said) alert.scrollIntoView({ block: "nearest" });
    said = now;
  }).observe(document, { childList: true, subtree: true, characterData: true });
})();
