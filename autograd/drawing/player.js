// Steps through a run. D is the data that `page.py` writes:
// items [kind, x, y, width, title, wire, end or height, source, inputs, cells] (kind 0 gate, 1 leaf, 2 block),
// wires [name, value], lines [start, end, wire, position, rule, points...], steps, sources, rules.
(function () {
  const root = document.currentScript.parentNode, D = JSON.parse(root.querySelector(".data").textContent);
  const $ = (name) => root.querySelector("." + name), svg = $("graph"), NS = "http://www.w3.org/2000/svg";
  const put = (name, text) => { $(name).textContent = text; };
  const format = (v) => v === null ? "?" : typeof v === "string" ? v : String(Number(v.toPrecision(4)));
  const make = (tag, attributes, parent, text) => {
    const e = document.createElementNS(NS, tag);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    if (text !== undefined) e.textContent = text;
    return parent.appendChild(e);
  };
  const label = (w) => D.wires[w][0], at = (item) => D.items[item];

  // The picture: it is laid out once and never moves.
  const lines = D.lines.map(([start, end, wire, , , ...p]) => {
    let d = `M${p[0]} ${p[1]}`, n = p.length;
    for (let i = 2; i < n - 2; i += 4) {
      const half = (p[i] + p[i + 2]) / 2;
      d += `L${p[i]} ${p[i + 1]}C${half} ${p[i + 1]} ${half} ${p[i + 3]} ${p[i + 2]} ${p[i + 3]}`;
    }
    const [x, y] = p.slice(-2);
    return {
      path: make("path", { d: d + `L${x} ${y}`, class: "wire" }, svg),
      share: make("text", { x: x - 3, y: y + (y > at(end)[2] ? 13 : -5), class: "share" }, svg),
    };
  });
  const wires = D.wires.map(() => ({}));
  const items = D.items.map(([kind, x, y, w, title, wire, size, , , cells]) => {
    const g = make("g", { class: "item" }, svg), text = (x, y, name, t) => make("text", { x, y, class: name }, g, t);
    if (kind < 2) make("path", { d: `M${x + w / 2} ${y}H${size}`, class: "wire" }, g);
    const high = kind ? size : 34;
    if (kind !== 1) make("rect", { x: x - w / 2, y: y - high / 2, width: w, height: high, rx: kind ? 8 : 17 }, g);
    const said = title.split("\n"), line = (i) => y - high / 2 + 18 + 15 * i;
    said.forEach((t, i) => text(x, kind < 2 ? y + 5 : line(i), i ? "fact" : "title", t));
    if (cells) {
      const side = Math.min((w - 16) / cells[0].length, 44 / cells.length), most = Math.max(...cells.flat().map(Math.abs)) || 1;
      cells.forEach((row, i) => row.forEach((v, j) => {
        const pale = Math.round(255 - 175 * Math.abs(v) / most);
        make("rect", { class: "cell", x: x - side * row.length / 2 + side * j, y: line(said.length + 1) + 8 + side * i, width: side, height: side,
          fill: v > 0 ? `rgb(255,${pale},${pale})` : `rgb(${pale},${pale},255)` }, g);
      }));
    }
    const middle = kind < 2 ? (x + w / 2 + size) / 2 : x, low = kind < 2 ? y + 14 : line(said.length + 1);
    if (wire >= 0) wires[wire] = { value: text(middle, kind < 2 ? y - 5 : low - 15, "value", ""), grad: text(middle, low, "grad", "") };
    g.addEventListener("click", () => chain(wire));
    return g;
  });

  // A step is ["f", item], ["s", wire] or ["b", line, upstream, local, share, sum, note].
  // What it says, where it writes; undoing it puts back what was there.
  const forward = (item) => {
    const name = at(item)[4].split("\n")[0], given = at(item)[8].map((w) => w < 0 ? "-" : label(w));
    return /[a-zσ|√]/.test(name) ? `${name}(${given.join(", ")})` : given.join(` ${name} `);
  };
  const target = ([kind, i]) => kind === "f" ? at(i)[5] : kind === "s" ? i : D.lines[i][2];
  const answer = (step) => step[0] === "f" ? D.wires[target(step)][1] : step[0] === "s" ? 1 : step[5];
  function say(step) {
    const [kind, i, up, local, share, total, note] = step;
    if (kind === "f") return `forward: ${forward(i)} = ${format(answer(step))}`;
    if (kind === "s") return `seed: dL/dL = 1`;
    const rule = local === null ? `upstream ${format(up)} gives ${format(share)}`
      : `upstream ${format(up)} × local ${format(local)} = ${format(share)}`;
    return `backward to ${label(target(step))}: ${rule} (sum so far ${format(total)})${note ? "; " + note : ""}`;
  }
  function writes(step) {
    const wire = wires[target(step)] || {}, shown = format(answer(step));
    if (step[0] === "f") return [[wire.value, shown]];
    return [[wire.grad, shown], ...step[0] === "s" || !D.forks.includes(target(step)) ? [] : [[lines[step[1]].share, format(step[4])]]];
  }
  const computed = new Set(D.steps.filter((s) => s[0] === "f").map(target));
  D.wires.forEach(([, v], w) => { if (!computed.has(w) && v !== null && wires[w].value) wires[w].value.textContent = format(v); });
  const undo = [];
  let now = 0, timer = null;
  function go(place) {
    place = Math.max(0, Math.min(D.steps.length, place));
    for (; now < place; now++)
      undo.push(writes(D.steps[now]).filter(([e]) => e).map(([e, text]) => {
        const old = e.textContent;
        e.textContent = text;
        return [e, old];
      }));
    for (; now > place; now--) undo.pop().reverse().forEach(([e, old]) => { e.textContent = old; });
    svg.querySelectorAll(".active").forEach((e) => e.classList.remove("active"));
    const step = D.steps[now - 1];
    const item = !step || step[0] === "s" ? -1 : step[0] === "f" ? step[1] : D.lines[step[1]][1];
    const back = step && step[0] === "b", mark = (e) => e && e.classList.add("active");
    mark(items[item]);
    if (back) mark(lines[step[1]].path);
    if (step) mark((wires[target(step)] || {})[step[0] === "f" ? "value" : "grad"]);
    put("says", step ? say(step) : "Press → to begin: " + D.title);
    put("rule", back ? D.rules[D.lines[step[1]][4]] || "" : "");
    put("source", item >= 0 && D.sources[at(item)[7]] || "");
    put("count", now + " / " + D.steps.length);
    $("slider").value = now;
    $("badge").hidden = now < D.steps.length;
    ask();
  }

  // Predicting: the next number is asked for before it is shown.
  function ask() {
    const next = $("predict").checked && D.steps[now];
    $("asks").hidden = !next || typeof answer(next) !== "number";
    if (!next) return;
    put("question", next[0] === "f" ? `What is ${forward(next[1])}?` : next[0] === "s" ? "What is dL/dL?"
      : `Upstream ${format(next[2])} meets ${forward(D.lines[next[1]][1])}: which gradient has ${label(target(next))} now?`);
    $("guess").value = "";
  }
  $("asks").addEventListener("submit", (event) => {
    event.preventDefault();
    const right = answer(D.steps[now]), guess = Number($("guess").value);
    const good = $("guess").value.trim() && Math.abs(guess - right) <= 0.02 * Math.abs(right) + 1e-3;
    go(now + 1);
    put("verdict", good ? "Right." : `It is ${format(right)}.`);
  });
  $("predict").addEventListener("change", ask);

  // The chain rule in full, for the wire of the item that is clicked.
  function chain(wire) {
    const parts = D.steps.filter((s) => s[0] === "b" && target(s) === wire);
    put("chain", parts.length
      ? `dL/d${label(wire)} = ` + parts.map((s) => s[3] === null ? format(s[4]) : `${format(s[2])} × ${format(s[3])}`).join(" + ")
        + " = " + format(parts[parts.length - 1][5])
      : `${label(wire)} gets no gradient from a gate.`);
  }

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => now < D.steps.length ? go(now + 1) : play(false), 1000) : null;
    put("play", on ? "pause" : "play");
  }
  let zoom = 1;
  const scale = (by) => { zoom *= by; svg.style.width = svg.viewBox.baseVal.width * zoom + "px"; };
  function save() {
    const copy = svg.cloneNode(true);
    copy.prepend(root.querySelector("style").cloneNode(true));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.download = `step-${now}.svg`;
    link.click();
    URL.revokeObjectURL(link.href);
  }
  const keys = { ArrowRight: () => go(now + 1), ArrowLeft: () => go(now - 1), Home: () => go(0), End: () => go(D.steps.length),
    " ": () => play(!timer), "+": () => scale(1.25), "-": () => scale(0.8) };
  document.addEventListener("keydown", (event) => {
    if (event.target.type === "text" || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const [name, action] of Object.entries({ first: keys.Home, back: keys.ArrowLeft, play: keys[" "], next: keys.ArrowRight,
    last: keys.End, larger: keys["+"], smaller: keys["-"], save })) $(name).addEventListener("click", action);
  $("slider").addEventListener("input", (event) => go(Number(event.target.value)));
  addEventListener("beforeprint", () => go(D.steps.length));
  go(0);
})();
