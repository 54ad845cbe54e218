"""How the report looks: as light or dark as the reader's system, on any width."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1c2024; --quiet: #5b6570; --rule: #d9dee3; --card: #f4f6f8;
  --first: #1f6fd6; --second: #b3500a; --alarm: #b3261e; --fine: #1a7f4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --text: #e8ebee; --quiet: #a3adb7; --rule: #363d44; --card: #1e2328;
    --first: #6fb1ff; --second: #ffa657; --alarm: #ff8a80; --fine: #5cd68f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1360px; margin: 0 auto; padding: 20px 16px 48px; }
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
a { color: var(--first); }
.chart { overflow-x: auto; margin: 8px 0; }
.chart svg { display: block; width: 100%; min-width: 560px; height: auto; }
.charts { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.charts .chart svg { min-width: 0; }
.pictures { display: grid; gap: 20px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 600px), 1fr)); }
figure { margin: 0 0 20px; scroll-margin-top: 16px; }
figure:target { outline: 3px solid var(--first); outline-offset: 6px; border-radius: 4px; }
figure img { display: block; width: 100%; height: auto; border-radius: 4px; cursor: zoom-in; }
figure input { position: absolute; opacity: 0; }
figure input:focus-visible + img { outline: 3px solid var(--first); }
figure input:checked + img { position: fixed; inset: 0; z-index: 1; width: 100vw; height: 100vh;
  object-fit: contain; background: rgb(0 0 0 / .9); border-radius: 0; cursor: zoom-out; }
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
"""
