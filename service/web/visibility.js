// Work for elements as they come into view, one after the other. Knows nothing of what it is.

/** Call `work(element)` once for each of `elements` that is in view, never two at a time. Returns what ends it. */
export function onceVisible(elements, work) {
  const visible = new Set();
  let working = false;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) visible[isIntersecting ? "add" : "delete"](target);
      run();
    },
    { rootMargin: "50px" },
  );
  async function run() {
    if (working) return;
    working = true;
    // What was scrolled past meanwhile is not in view any more, and waits until it is.
    for (let next; (next = elements.find((each) => visible.has(each))); ) {
      visible.delete(next);
      observer.unobserve(next);
      await work(next);
    }
    working = false;
  }
  elements.forEach((each) => observer.observe(each));
  return () => {
    observer.disconnect();
    visible.clear();
  };
}
