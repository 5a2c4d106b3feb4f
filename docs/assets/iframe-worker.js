// A page that was opened from disk may not start a web worker, which the search needs. Here a hidden frame of the same
// page stands in for it: it loads the same script, and the two send each other the same messages.
"use strict";
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.onerror = null;
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      window.addEventListener("message", (event) => {
        if (event.source !== inside) return;
        const copy = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(copy);
        if (this.onmessage) this.onmessage(copy);
      });
      inside.document.open();
      inside.document.write(
        "<!doctype html><html><body><script>" +
          "postMessage = parent.postMessage.bind(parent);" +
          "var importScripts = (...urls) => urls.reduce((done, url) => done.then(() => new Promise((go) => {" +
          "  const script = document.createElement('script'); script.src = url; script.onload = go;" +
          "  document.body.append(script); })), Promise.resolve());" +
          "</" + "script></body></html>"
      );
      inside.document.close();
      const script = inside.document.createElement("script");
      script.src = url;
      script.onload = () => {
        this.ready = true;
        for (const data of this.waiting.splice(0)) this.postMessage(data);
      };
      inside.document.body.append(script);
    }
    postMessage(data) {
      if (!this.ready) { this.waiting.push(data); return; }
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: data, source: window }));
    }
    terminate() { this.frame.remove(); }
  };
}
