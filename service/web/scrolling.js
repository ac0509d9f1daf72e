// Shows that a row goes on beyond what is in view, and takes people there. Knows nothing of what is in it.

/**
 * Mark a row that scrolls sideways with `data-before` and `data-after` where there is more, and let two buttons go there.
 *
 * `tell(first, last, count)` is told which of its children are in view, from 1.
 */
export function guideThrough(row, back, on, tell) {
  const look = () => {
    const box = row.getBoundingClientRect();
    const most = row.scrollWidth - row.clientWidth;
    row.toggleAttribute("data-before", row.scrollLeft > 1);
    row.toggleAttribute("data-after", row.scrollLeft < most - 1);
    back.disabled = row.scrollLeft <= 1;
    on.disabled = row.scrollLeft >= most - 1;
    const inView = [...row.children].map((child) => {
      const own = child.getBoundingClientRect();
      return Math.min(own.right, box.right) - Math.max(own.left, box.left) > own.width / 2;
    });
    tell(inView.indexOf(true) + 1, inView.lastIndexOf(true) + 1, inView.length);
  };
  const go = (way) => () => {
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    row.scrollBy({ left: way * row.clientWidth * 0.8, behavior });
  };
  back.addEventListener("click", go(-1));
  on.addEventListener("click", go(1));
  row.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(row);
  // Its children are replaced with each picture, and grow as their maps come.
  new MutationObserver(look).observe(row, { childList: true, subtree: true });
}
