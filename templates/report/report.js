(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var all = function (selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); };
  var byId = function (id) { return document.getElementById(id); };

  byId("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  var rows = all("#matrix tbody tr");
  var policies = all(".policy");
  var heads = all("#matrix thead th");
  var name = byId("by-name"), level = byId("by-level"), field = byId("by-field"), fidelity = byId("by-fidelity");
  var unused = byId("unused");

  function apply() {
    var text = name.value.trim().toLowerCase();
    var column = field.value === "" ? -1 : Number(field.value);
    var shown = 0;
    rows.forEach(function (row, index) {
      var cells = row.cells;
      var fits = row.dataset.name.toLowerCase().indexOf(text) >= 0 && (level.value === "" || row.dataset.level === level.value);
      if (fits && column >= 0) {
        var cell = cells[column + 2];
        fits = !cell.classList.contains("n") && (fidelity.value === "" || cell.classList.contains(fidelity.value));
      } else if (fits && fidelity.value !== "") {
        fits = row.dataset.has.indexOf(fidelity.value) >= 0;
      }
      row.hidden = !fits;
      policies[index].hidden = !fits;
      shown += fits ? 1 : 0;
    });
    heads.forEach(function (head, index) { head.classList.toggle("hit", column >= 0 && index === column + 2); });
    byId("shown").textContent = shown + " of " + rows.length;
  }
  function columns() {
    heads.forEach(function (head, index) {
      if (!head.classList.contains("unused")) { return; }
      head.hidden = unused.checked;
      rows.forEach(function (row) { row.cells[index].hidden = unused.checked; });
    });
  }
  [name, level, field, fidelity].forEach(function (control) { control.addEventListener("input", apply); });
  unused.addEventListener("input", columns);

  function openTarget() {
    var target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  }
  addEventListener("hashchange", openTarget);
  byId("open-all").addEventListener("click", function () {
    var closed = policies.some(function (policy) { return !policy.hidden && !policy.open; });
    policies.forEach(function (policy) { policy.open = closed && !policy.hidden; });
  });
  var wasOpen = null;
  addEventListener("beforeprint", function () {
    wasOpen = policies.map(function (policy) { return policy.open; });
    policies.forEach(function (policy) { policy.open = true; });
  });
  addEventListener("afterprint", function () {
    if (wasOpen) { policies.forEach(function (policy, index) { policy.open = wasOpen[index]; }); }
  });
  apply();
  openTarget();
}());
