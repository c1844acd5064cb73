(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var all = function (selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); };
  var byId = function (id) { return document.getElementById(id); };
  var on = function (target, event, run) { if (target) { target.addEventListener(event, run); } };

  on(byId("theme"), "click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // filters
  var matrix = byId("matrix");
  var rows = all("tbody tr", matrix);
  var heads = all("thead th", matrix);
  var policies = all(".policy");
  var name = byId("by-name"), level = byId("by-level"), layer = byId("by-layer");
  var field = byId("by-field"), fidelity = byId("by-fidelity"), unused = byId("unused");
  // the policy's name and level stand before the fields
  var FIRST = 2;

  function detects(cell) {
    var shown = matrix.dataset.layer;
    var of = [shown === "runtime" ? null : cell.dataset.audit, shown === "audit" ? null : cell.dataset.runtime];
    return of.some(function (how) { return how && how !== "n" && (fidelity.value === "" || how === fidelity.value); });
  }
  function apply() {
    if (layer) { matrix.dataset.layer = layer.value; }
    var text = name.value.trim().toLowerCase();
    var column = field.value === "" ? -1 : Number(field.value) + FIRST;
    var shown = 0;
    rows.forEach(function (row, index) {
      var fits = row.dataset.name.toLowerCase().indexOf(text) >= 0 && (level.value === "" || row.dataset.level === level.value);
      if (fits && column >= 0) {
        fits = detects(row.cells[column]);
      } else if (fits && fidelity.value !== "") {
        fits = Array.prototype.some.call(row.cells, detects);
      }
      row.hidden = !fits;
      policies[index].hidden = !fits;
      shown += fits ? 1 : 0;
    });
    heads.forEach(function (head, index) { head.classList.toggle("hit", index === column); });
    byId("shown").textContent = shown + " of " + rows.length + (rows.length === 1 ? " policy" : " policies");
  }
  function columns() {
    heads.forEach(function (head, index) {
      if (!head.classList.contains("unused")) { return; }
      head.hidden = unused.checked;
      rows.forEach(function (row) { row.cells[index].hidden = unused.checked; });
    });
  }
  [name, level, layer, field, fidelity].forEach(function (control) { on(control, "input", apply); });
  on(unused, "input", columns);
  on(document.querySelector(".filters"), "submit", function (event) { event.preventDefault(); });

  // the cells are one stop of the Tab key, at the policy's name; arrows go on from there
  on(matrix, "keydown", function (event) {
    var step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    var cell = event.target.closest("th, td");
    if (!step || !cell) { return; }
    var row = rows.indexOf(cell.parentNode), column = cell.cellIndex;
    var link = null;
    do {
      row += step[0];
      column += step[1];
      var next = rows[row] && rows[row].cells[column];
      if (!next) { return; }
      link = next.hidden || rows[row].hidden ? null : next.querySelector("a");
    } while (!link);
    event.preventDefault();
    link.focus();
  });

  // a link to a part of a folded policy unfolds it
  function openTarget() {
    var target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
    if (!target) { return; }
    for (var at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") { at.open = true; }
    }
    target.scrollIntoView();
  }
  on(window, "hashchange", openTarget);
  on(byId("open-all"), "click", function () {
    var closed = policies.some(function (policy) { return !policy.hidden && !policy.open; });
    policies.forEach(function (policy) { policy.open = closed && !policy.hidden; });
  });

  function say(text) { byId("said").textContent = text; }
  function select(node) {
    var range = document.createRange();
    range.selectNodeContents(node);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }
  on(document, "click", function (event) {
    var button = event.target.closest(".copy");
    if (!button) { return; }
    var code = button.parentNode.querySelector("code");
    var done = function () {
      button.textContent = "Copied";
      say("Copied");
      setTimeout(function () { button.textContent = "Copy"; say(""); }, 2000);
    };
    var byHand = function () { select(code); say("Selected: copy it with the keyboard"); };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(code.textContent).then(done, byHand);
    } else {
      byHand();
    }
  });

  // on paper all policies are open
  var wasOpen = null;
  on(window, "beforeprint", function () {
    wasOpen = policies.map(function (policy) { return policy.open; });
    policies.forEach(function (policy) { policy.open = true; });
  });
  on(window, "afterprint", function () {
    if (wasOpen) { policies.forEach(function (policy, index) { policy.open = wasOpen[index]; }); }
  });
  apply();
  openTarget();
}());
