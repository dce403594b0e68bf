"use strict";
// Of a report: figures, tables that sort and copy, the map over time. Nothing is fetched.
(function () {
  const $ = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const data = JSON.parse(document.getElementById("data").textContent);

  // --- figures -------------------------------------------------------------------------------
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    topojsonURL: "", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const narrow = window.matchMedia("(max-width: 640px)").matches;
  if (window.Plotly) {
    $(".plot").forEach((place) => {
      const chart = data.charts[Number(place.dataset.chart)];
      const layout = Object.assign({ height: 400 }, chart.layout);
      if (narrow) {
        layout.margin = Object.assign({}, layout.margin, { l: 44, r: 8 });
        layout.font = Object.assign({}, layout.font, { size: 11 });
      }
      place.style.minHeight = layout.height + "px";
      window.Plotly.newPlot(place, chart.data, layout, config);
    });
    window.addEventListener("beforeprint", () => $(".plot").forEach((p) => window.Plotly.Plots.resize(p)));
  }

  // --- tables --------------------------------------------------------------------------------
  const number = (text) => {
    const found = parseFloat(text.replace(/,/g, ""));
    return Number.isNaN(found) ? null : found;
  };
  function sortBy(table, column, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    $("th[aria-sort]", table).forEach((th) => th.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = heading.classList.contains("n");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row, at) => {
      const text = row.cells[column].textContent.trim();
      return { row, at, key: numeric ? number(text) : text };
    });
    rows.sort((one, other) => {
      if (one.key === null || other.key === null) {
        if (one.key === other.key) return one.at - other.at;
        return one.key === null ? 1 : -1;
      }
      const order = numeric ? one.key - other.key : one.key.localeCompare(other.key, "en", { numeric: true });
      return (down ? -order : order) || one.at - other.at;
    });
    rows.forEach((entry) => body.appendChild(entry.row));
  }
  function asText(table, how) {
    const cells = (row) => Array.from(row.cells).map((cell) => {
      let text = cell.textContent.replace(/\s+/g, " ").trim();
      // A spreadsheet would take a text like this for a formula.
      if (!cell.classList.contains("n") && /^[=+@-]/.test(text) && text.length > 1) text = "'" + text;
      if (how === "csv") return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
      return text;
    });
    return Array.from(table.rows).map((row) => cells(row).join(how === "csv" ? "," : "\t")).join("\n") + "\n";
  }
  function copy(text, said) {
    const tell = (words) => { said.textContent = words; setTimeout(() => { said.textContent = ""; }, 3000); };
    const byHand = () => {
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      area.style.opacity = "0";
      document.body.appendChild(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      tell(done ? "copied" : "this browser does not let a page copy");
    };
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(() => tell("copied"), byHand);
    } else {
      byHand();
    }
  }
  $(".table").forEach((block) => {
    const table = block.querySelector("table");
    $("th[aria-sort]", table).forEach((heading) => {
      const column = Array.from(heading.parentNode.cells).indexOf(heading);
      heading.querySelector("button").addEventListener("click", () => sortBy(table, column, heading));
    });
    $("button[data-copy]", block).forEach((button) => {
      button.addEventListener("click", () => copy(asText(table, button.dataset.copy), block.querySelector(".said")));
    });
  });

  // --- the map -------------------------------------------------------------------------------
  const map = data.map;
  if (!map) return;
  const block = document.querySelector(".map");
  const unknown = 65535;
  const decoded = new Map();
  function values(text) {
    if (!decoded.has(text)) {
      const bytes = atob(text);
      const found = new Uint16Array(bytes.length / 2);
      for (let i = 0; i < found.length; i += 1) found[i] = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
      decoded.set(text, found);
    }
    return decoded.get(text);
  }
  function mix(stops, at) {
    let i = 1;
    while (i < stops.length - 1 && at > stops[i][0]) i += 1;
    const [from, one] = stops[i - 1];
    const [to, other] = stops[i];
    const part = Math.min(1, Math.max(0, (at - from) / (to - from)));
    const channel = (k) => Math.round(
      parseInt(one.slice(k, k + 2), 16) * (1 - part) + parseInt(other.slice(k, k + 2), 16) * part);
    return "rgb(" + channel(1) + "," + channel(3) + "," + channel(5) + ")";
  }
  const lines = $(".l", block), loads = $(".b", block), transformers = $(".t", block);
  const slider = block.querySelector("input"), when = block.querySelector(".when");
  const say = block.querySelector(".say"), tip = block.querySelector(".tip");
  const play = block.querySelector(".play"), choose = block.querySelector("select");
  let run = map.runs[0], frame = Number(slider.value), pointed = null;
  const at = (text, n, i) => {
    if (!n || !text) return null;
    const value = values(text)[frame * n + i];
    return value === unknown ? null : value;
  };
  const voltage = (i) => { const v = at(run.vm, loads.length, i); return v === null ? null : v / 10000; };
  const ofLine = (i) => { const v = at(run.line, run.line ? lines.length : 0, i); return v === null ? null : v / 10; };
  const ofTransformer = (i) => { const v = at(run.transformer, transformers.length, i); return v === null ? null : v / 10; };
  function describe() {
    if (!pointed) { tip.textContent = map.hint; return; }
    const [kind, i] = pointed;
    if (kind === "b") {
      const v = voltage(i);
      tip.textContent = map.loads[i] + ": " + (v === null ? "not known" : v.toFixed(4) + " p.u.");
    } else {
      const v = kind === "l" ? ofLine(i) : ofTransformer(i);
      const name = kind === "l" ? "line " + map.lines[i] : "transformer " + map.transformers[i];
      tip.textContent = name + ": " + (v === null ? "loading not known" : v.toFixed(1) + " % of its rating");
    }
  }
  function draw() {
    let low = [Infinity, ""], high = [-Infinity, ""];
    loads.forEach((dot, i) => {
      const v = voltage(i);
      const out = v !== null && (v < map.vm_min || v > map.vm_max);
      dot.style.fill = v === null ? "#fff" : mix(map.vm_stops, v);
      dot.classList.toggle("out", out);
      if (v !== null && v < low[0]) low = [v, map.loads[i]];
    });
    const paint = (shape, percent, name, filled) => {
      if (percent === null) { shape.style[filled ? "fill" : "stroke"] = filled ? "#fff" : "#c9cdd2"; return; }
      shape.style[filled ? "fill" : "stroke"] = mix(map.load_stops, percent);
      if (!filled) shape.style.strokeWidth = map.thin + map.thick * Math.min(percent, 150) / 100;
      if (filled) shape.classList.toggle("out", percent > 100);
      if (percent > high[0]) high = [percent, name];
    };
    lines.forEach((line, i) => paint(line, ofLine(i), "line " + map.lines[i], false));
    transformers.forEach((mark, i) => paint(mark, ofTransformer(i), "transformer " + map.transformers[i], true));
    when.textContent = map.times[frame];
    const said = [];
    said.push(low[1] ? "Lowest voltage " + low[0].toFixed(4) + " p.u. at " + low[1] : "The load flow did not converge");
    if (high[1]) said.push("highest loading " + high[0].toFixed(1) + " % on " + high[1]);
    say.textContent = said.join("; ") + ".";
    slider.setAttribute("aria-valuetext", map.times[frame] + ": " + say.textContent);
    describe();
  }
  let timer = null;
  function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
  play.addEventListener("click", () => {
    if (timer !== null) { stop(); return; }
    play.textContent = "Pause";
    timer = setInterval(() => {
      frame = (frame + 1) % map.times.length;
      slider.value = frame;
      draw();
    }, 450);
  });
  slider.addEventListener("input", () => { stop(); frame = Number(slider.value); draw(); });
  if (choose) choose.addEventListener("change", () => { run = map.runs[Number(choose.value)]; draw(); });
  [["l", lines], ["b", loads], ["t", transformers]].forEach(([kind, shapes]) => shapes.forEach((shape, i) => {
    shape.addEventListener("pointerenter", () => { pointed = [kind, i]; describe(); });
    shape.addEventListener("click", () => { pointed = [kind, i]; describe(); });
  }));
  draw();
}());
