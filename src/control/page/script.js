"use strict";
(() => {
  const $ = id => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const el = (name, props, ...kids) => {
    const e = document.createElement(name);
    Object.assign(e, props);
    e.append(...kids.filter(k => k !== null && k !== undefined));
    return e;
  };
  const svg = (name, attrs, text) => {
    const e = document.createElementNS(SVG, name);
    for (const k in attrs) e.setAttribute(k, attrs[k]);
    if (text !== undefined) e.textContent = text;
    return e;
  };

  /* --- numbers as people read them --- */
  const num = v => {
    v = Number(v);
    if (!isFinite(v)) return "–";
    const a = Math.abs(v);
    if (a >= 1e9) return (v / 1e9).toFixed(1) + " G";
    if (a >= 1e6) return (v / 1e6).toFixed(1) + " M";
    if (a >= 1e4) return (v / 1e3).toFixed(1) + " k";
    return a >= 100 || Number.isInteger(v) ? v.toFixed(0) : a >= 10 ? v.toFixed(1) : v.toFixed(2);
  };
  const us = v => {
    v = Number(v);
    if (!isFinite(v)) return "–";
    if (v < 1000) return v.toFixed(0) + " µs";
    if (v < 1e6) return (v / 1e3).toFixed(v < 1e4 ? 1 : 0) + " ms";
    if (v < 6e7) return (v / 1e6).toFixed(1) + " s";
    return v < 3.6e9 ? (v / 6e7).toFixed(1) + " min" : (v / 3.6e9).toFixed(1) + " h";
  };
  const ms = v => us(v * 1000);

  /* --- tables --- */
  const text = key => r => r[key] === null ? "" : String(r[key]);
  const col = (head, value, kind, mark) => ({head, value, kind, mark});
  const n = (head, key, f, mark) => col(head, r => (f || num)(r[key]), "n", mark);
  const t = (head, key, mark) => col(head, text(key), "", mark);
  const code = (head, key) => col(head, r => el("code", {}, text(key)(r)), "w");
  const wide = (head, key) => col(head, text(key), "w");
  const pins = {temp: "temporary table", listen: "LISTEN", advisory_lock: "advisory lock", with_hold: "cursor WITH HOLD"};
  const full = r => parseFloat(r.utilisation);

  const TABLES = {
    nodes: {caption: "Nodes", empty: "No node is configured.", columns: [
      t("Node", "node"), t("Role", "role"),
      col("Health", text("health"), "", r => r.health === "up" ? "good" : r.health === "unwatched" ? "" : "bad"),
      col("Lag", r => r.role === "replica" ? (r.lag_ms === null ? "unknown" : ms(r.lag_ms)) : "", "n"),
      col("Behind", r => r.role === "replica" ? num(r.lag_bytes) + " B" : "", "n"),
      n("Under way", "outstanding"), n("Latency", "latency_us", us), wide("What is known", "reason")]},
    pools: {caption: "Pools by node", empty: "No client has come yet.", columns: [
      t("Database", "database"), t("User", "user"), t("Node", "node"), t("Role", "role"),
      n("Active", "sv_active"), n("Idle", "sv_idle"), n("Opening", "sv_login"), n("Size", "pool_size"),
      n("Waiting", "cl_waiting", num, r => Number(r.cl_waiting) > 0 ? "warn" : ""), n("Pinned", "pinned"),
      n("Latency", "latency_us", us)]},
    headroom: {caption: "Headroom", empty: "Nothing is known yet.", columns: [
      t("What", "resource"), t("Database", "database"), t("User", "user"), t("Node", "node"),
      col("Used", r => {
        const m = el("meter", {min: 0, max: 100, low: 70, high: 90, optimum: 0, value: full(r) || 0});
        m.setAttribute("aria-hidden", "true");
        return el("span", {}, m, r.utilisation);
      }, "n"),
      n("Limit", "limit"), n("Peak", "peak"), n("Held", "held_us", us), n("Wait p95", "wait_p95", us),
      n("Size for goal", "size_for_goal"), wide("Advice", "advice")]},
    queries: {caption: "Queries", empty: "No statement has run yet.", max: 20, columns: [
      code("Statement", "statement"), t("Database", "database"), t("Role", "role"), n("Calls", "calls"),
      n("Errors", "errors", num, r => Number(r.errors) > 0 ? "bad" : ""), n("Rows", "rows"),
      n("On servers", "server_time", us), n("Queued", "queue_time", us), n("p50", "p50", us), n("p95", "p95", us),
      n("p99", "p99", us), n("Longest", "max", us)]},
    nplusone: {caption: "N+1", empty: "None: no client has run a statement again and again.", max: 20, columns: [
      code("Statement", "statement"), t("Application", "application_name"), t("Database", "database"),
      n("Series", "series"), n("Calls", "calls"), n("Longest", "longest"), t("Last seen", "last_seen"), wide("Hint", "hint")]},
    errors: {caption: "Errors", empty: "None: nothing has failed.", max: 20, columns: [
      code("SQLSTATE", "sqlstate"), t("Class", "class"), t("Database", "database"),
      t("Made by", "source", r => r.source === "pgweir" ? "warn" : ""), n("Errors", "errors"), t("Last seen", "last_seen")]},
    waits: {caption: "Waits", empty: "None: nobody has had to wait.", columns: [
      t("Database", "database"), t("For", "waits_for"), n("Now", "now", num, r => Number(r.now) > 0 ? "warn" : ""),
      n("Waits", "waits"), n("Mean", "mean", us), n("p95", "p95", us), n("p99", "p99", us), n("Longest", "max", us),
      wide("Hint", "hint")]},
    misuse: {caption: "Misuse", empty: "None: nobody holds a server without need.", max: 20, columns: [
      col("How", r => text("kind")(r).replaceAll("_", " ").replace(/^pin /, "pinned: "), ""), t("Application", "application_name"),
      n("Now", "now", num, r => Number(r.now) > 0 ? "warn" : ""), n("Times", "times"), n("Held", "total_time", us),
      n("Longest", "longest", us), code("Statement", "statement"), wide("Hint", "hint"), t("Database", "database"),
      t("User", "user"), t("Last client", "addr"), t("Last seen", "last_seen")]},
    pins: {caption: "Pins", empty: "None.", columns: [
      col("Cause", r => pins[r.cause] || text("cause")(r).replaceAll("_", " "), ""), n("Now", "now"), n("Ever", "total")]},
  };

  const OFF = settings => `Switched off: ${settings.join(" = 0, ")} = 0.`;
  const draw = (name, rows, off) => {
    const spec = TABLES[name], box = document.querySelector(`[data-table="${name}"]`);
    if (!rows || rows.length === 0) {
      box.replaceChildren(el("p", {}, off ? OFF(off) : spec.empty));
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      return;
    }
    const head = el("tr", {}, ...spec.columns.map(c => el("th", {scope: "col", className: c.kind}, c.head)));
    const body = rows.slice(0, spec.max || 200).map(r => el("tr", {}, ...spec.columns.map((c, i) =>
      el(i === 0 ? "th" : "td", {className: `${c.kind} ${c.mark ? c.mark(r) : ""}`.trim(), ...(i === 0 ? {scope: "row"} : {})},
        c.value(r)))));
    const at = box.scrollLeft;
    box.replaceChildren(el("table", {}, el("caption", {}, spec.caption), el("thead", {}, head), el("tbody", {}, ...body)),
      ...(off ? [el("p", {}, OFF(off))] : []));
    box.scrollLeft = at;
    box.tabIndex = 0; /* it scrolls with the keyboard */
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", spec.caption);
  };

  /* --- charts --- */
  const CHARTS = [
    {title: "Queries a second", of: [["queries", "all"], ["transactions", "transactions"]], f: num},
    {title: "Traffic", of: [["on_primary", "primary"], ["on_replicas", "replicas"]], f: v => num(v) + "/s"},
    {title: "Time on servers", of: [["query_p50", "p50"], ["query_p95", "p95"], ["query_p99", "p99"]], f: ms},
    {title: "Time in the queue", of: [["wait_p50", "p50"], ["wait_p95", "p95"], ["wait_p99", "p99"]], f: ms},
    {title: "Servers", of: [["busy", "busy"], ["servers", "open"], ["pinned", "pinned"]], f: num},
    {title: "Clients", of: [["clients", "all"], ["waiting", "waiting"]], f: num},
    {title: "Lag of replicas", of: [["lag", "furthest behind"]], f: ms},
    {title: "Errors a second", of: [["errors", "errors"]], f: num},
  ];
  const W = 600, H = 150;
  const nice = v => {
    if (!(v > 0)) return 1;
    const p = 10 ** Math.floor(Math.log10(v));
    return [1, 2, 2.5, 5, 10].map(k => k * p).find(k => k >= v * .999);
  };
  const span = h => us((h.period_s || 10) * 360e6).replace("1.0 h", "1 h");
  const path = (values, top, close) => {
    if (values.length === 0) return "";
    const x = i => (W - (values.length - 1 - i) * W / 359).toFixed(1);
    const d = values.map((v, i) => `${i ? "L" : "M"}${x(i)} ${(H - Math.min(v / top, 1) * H).toFixed(1)}`).join("");
    return close ? `${d}L${W} ${H}L${x(0)} ${H}Z` : d;
  };
  const chart = (spec, h) => {
    const series = spec.of.map(([key]) => h.samples.map(s => s[h.columns.indexOf(key)]));
    const most = Math.max(0, ...series.flat()), top = nice(most);
    const last = series.map(s => s.length ? spec.f(s[s.length - 1]) : "–");
    const words = spec.of.map(([, label], i) => `${label} ${last[i]}`).join(", ");
    const picture = svg("svg", {viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${spec.title}: now ${words}; at most ${spec.f(most)} in the last ${span(h)}`});
    for (const y of [0, H / 2, H]) picture.append(svg("line", {class: "grid", x1: 0, x2: W, y1: y, y2: y}));
    picture.append(svg("path", {class: "under", d: path(series[0], top, true)}));
    series.forEach((s, i) => picture.append(svg("path", {class: `curve k${i + 1}`, d: path(s, top, false)})));
    const caption = el("figcaption", {}, el("b", {}, spec.title), ...spec.of.map(([, label], i) =>
      el("span", {}, el("i", {className: `b${i + 1}`}), `${label} ${last[i]}`)));
    return el("figure", {}, caption, picture, el("p", {className: "axis"}, el("span", {}, `${span(h)} ago`),
      el("span", {}, `top ${spec.f(top)}`), el("span", {}, "now")));
  };

  /* --- histograms: one bar for each power of four --- */
  const HISTS = [["queries", "Queries by time on servers"], ["waits", "Waits by time in the queue"]];
  const histogram = ([key, title], h) => {
    const counts = h.histograms[key], upTo = h.histograms.up_to_us;
    const all = counts.reduce((a, c) => a + c, 0), most = Math.max(1, ...counts), wide = W / counts.length;
    const share = c => `${(100 * c / all).toFixed(c / all < .1 ? 1 : 0)} %`;
    const bucket = i => `up to ${us(upTo[i])}`;
    const words = counts.map((c, i) => c > 0 ? `${bucket(i)} ${share(c)}` : "").filter(w => w).join(", ");
    const picture = svg("svg", {viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${title}, ${num(all)} in the last ${span(h)}: ${words || "none"}`});
    picture.append(svg("line", {class: "grid", x1: 0, x2: W, y1: H, y2: H}));
    counts.forEach((c, i) => {
      const high = c > 0 ? Math.max(2, c / most * H) : 0;
      const bar = svg("rect", {class: "bar", x: i * wide + 2, y: H - high, width: wide - 4, height: high});
      bar.append(svg("title", {}, `${bucket(i)}: ${num(c)}, ${all ? share(c) : "0 %"}`));
      picture.append(bar);
    });
    const middle = (counts.length - 1) >> 1;
    return el("figure", {}, el("figcaption", {}, el("b", {}, title), el("span", {}, `${num(all)} in all`)), picture,
      el("p", {className: "axis"}, el("span", {}, us(upTo[0])), el("span", {}, us(upTo[middle])),
        el("span", {}, us(upTo[counts.length - 1]))));
  };

  /* --- tiles --- */
  const tiles = (s, h, off) => {
    const now = h.samples[h.samples.length - 1] || [], at = k => off.headroom ? NaN : now[h.columns.indexOf(k)] || 0;
    const sum = (rows, key) => (rows || []).reduce((a, r) => a + Number(r[key] || 0), 0);
    const routed = at("on_primary") + at("on_replicas");
    const list = [
      ["Queries a second", num(at("queries"))],
      ["Clients", num(at("clients"))],
      ["Waiting", off.waits ? "–" : num(sum(s.waits, "now")), sum(s.waits, "now") > 0 ? "warn" : ""],
      ["Servers busy", num(at("busy")), "", ` of ${num(at("servers"))}`],
      ["Reads on replicas", routed > 0 ? (100 * at("on_replicas") / routed).toFixed(0) + " %" : "–"],
      ["Query p95", ms(at("query_p95"))],
      ["Wait p95", ms(at("wait_p95"))],
      ["Errors a second", off.errors ? "–" : num(at("errors"))],
    ];
    $("tiles").replaceChildren(...list.map(([label, value, mark, more]) =>
      el("div", {}, el("dt", {}, label), el("dd", {className: mark || ""}, value, more ? el("small", {}, more) : null))));
  };

  /* --- every few seconds --- */
  const say = (message, bad) => {
    if ($("state").textContent !== message) $("state").textContent = message;
    $("state").className = bad ? "bad" : "";
  };
  const get = async path => {
    const r = await fetch(path, {cache: "no-store"});
    if (!r.ok) throw new Error(`${path}: ${r.status}`);
    return r.json();
  };
  const most = (rows, key) => (rows || []).sort((a, b) => Number(b[key]) - Number(a[key]));
  const show = (s, h) => {
    $("version").textContent = s.version && s.version[0] ? s.version[0].version : "";
    const off = {}; /* of tables, by which settings */
    for (const r of s.off || []) (off[r.table] ||= []).push(r.setting);
    tiles(s, h, off);
    $("span").textContent = off.headroom ? OFF(off.headroom) : `A sample every ${us((h.period_s || 10) * 1e6)}; ${h.samples.length} of 360 are there.`;
    const hists = h.histograms ? HISTS.map(k => histogram(k, h)) : [];
    const charts = off.headroom ? [] : CHARTS.filter(c => !(off.errors && c.of[0][0] === "errors"));
    $("charts").replaceChildren(...charts.map(c => chart(c, h)), ...hists);
    draw("nodes", s.nodes);
    draw("pools", s.node_pools);
    draw("headroom", s.headroom, off.headroom);
    draw("queries", s.queries, off.queries);
    draw("nplusone", s.nplusone, off.nplusone);
    draw("errors", most(s.errors, "errors"), off.errors);
    draw("waits", s.waits, off.waits);
    draw("misuse", s.misuse, off.misuse);
    draw("pins", (s.pin_counts || []).filter(r => Number(r.total) > 0));
    const watched = (s.nodes || []).filter(r => r.health && r.health !== "unwatched"); /* of databases that route */
    const down = watched.filter(r => r.health !== "up").length;
    say(watched.length === 0 ? "No node is watched" :
      down > 0 ? `${down} of ${watched.length} nodes not up` : "All nodes up", down > 0);
  };
  const refresh = async () => {
    if (!document.hidden) {
      try {
        show(await get("stats.json"), await get("history.json"));
        document.body.dataset.ready = "1";
      } catch (e) {
        say("No answer from pgweir", true);
      }
    }
    setTimeout(refresh, 5000);
  };
  document.addEventListener("visibilitychange", () => document.hidden || say($("state").textContent));
  refresh();
})();
