// A page that is opened from disk may start no worker, and the search of this site is one: a hidden frame does its work.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.document.write("<!doctype html><body>");
      inside.document.close();
      inside.postMessage = data => setTimeout(() => this.answer(data));
      this.ready = new Promise((done, failed) => {
        const script = inside.document.createElement("script");
        script.onload = done;
        script.onerror = failed;
        script.src = url;
        inside.document.body.append(script);
      });
    }
    answer(data) {
      const event = new MessageEvent("message", { data: structuredClone(data) });
      this.dispatchEvent(event);
      this.onmessage?.(event);
    }
    postMessage(data) {
      const event = new MessageEvent("message", { data: structuredClone(data) });
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(event), () => this.onerror?.(new ErrorEvent("error")));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
