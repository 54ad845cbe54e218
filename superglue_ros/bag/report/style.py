"""How the report looks: as light or dark as the reader's system, on any width."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1c2024; --quiet: #5b6570; --rule: #d9dee3; --card: #f4f6f8;
  --matches: #1f6fd6; --inliers: #b3500a; --alarm: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --text: #e8ebee; --quiet: #a3adb7; --rule: #363d44; --card: #1e2328;
    --matches: #6fb1ff; --inliers: #ffa657; --alarm: #ff8a80;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; color: var(--quiet); overflow-wrap: anywhere; }
.numbers { display: grid; gap: 8px; margin: 16px 0 0;
  grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
.numbers div { background: var(--card); border-radius: 8px; padding: 8px 12px; }
dt { font-size: .85rem; color: var(--quiet); }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.problems { border-left: 4px solid var(--alarm); padding-left: 12px; }
.problems h2 { color: var(--alarm); }
.problems li { overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--quiet); font: 13px system-ui, sans-serif; }
svg path { fill: none; }
.grid { stroke: var(--rule); }
.line { stroke-width: 1.8; stroke-linejoin: round; }
.line.dot { stroke-width: 6; stroke-linecap: round; }
.line.matches { stroke: var(--matches); }
.line.inliers { stroke: var(--inliers); }
svg .band { opacity: .22; }
svg .band.matches { fill: var(--matches); }
svg .band.inliers { fill: var(--inliers); }
.key { margin-right: 20px; color: var(--text); }
.key::before { content: ""; display: inline-block; width: 22px; height: 4px; margin-right: 8px;
  vertical-align: middle; border-radius: 2px; }
.key.matches::before { background: var(--matches); }
.key.inliers::before { background: var(--inliers); }
.narrow { display: none; }
.pictures { display: grid; gap: 16px; grid-template-columns: repeat(3, 1fr); align-items: start; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: 4px; }
figcaption { font-size: .9rem; color: var(--quiet); margin-top: 4px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; overflow-wrap: anywhere; }
th:not(:first-child), td:not(:first-child) { text-align: right; padding-right: 4px;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { font-weight: 600; overflow-wrap: normal; }
th:not(:first-child) { white-space: normal; }
pre { overflow-x: auto; background: var(--card); padding: 12px; border-radius: 8px;
  font-size: .85rem; }
@media (max-width: 700px) {
  .wide { display: none; }
  .narrow { display: block; }
  .pictures { grid-template-columns: 1fr; }
}
@media print { .wide { display: block; } .narrow { display: none; } }
"""
