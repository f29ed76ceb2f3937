/** Of the report's page. Colors are defined twice, for light and for dark. */
export const styles = `
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --card: #ffffff; --ink: #1c2024; --soft: #60676f; --line: #e2e4e1;
  --seatbelt: #1f5fd0; --yardstick: #8a97a6; --unsafe: #d58a1f;
  --api: #1f5fd0; --postgres: #2a9d8f; --redis: #c8553d; --simulator: #b7bec6;
  --good: #1a7f37; --bad: #c62f2f; --open: #8a6100;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2024; --ink: #e6e8ea; --soft: #9aa3ac; --line: #31373d;
    --seatbelt: #6ea0ff; --yardstick: #7d8995; --unsafe: #e0a94f;
    --api: #6ea0ff; --postgres: #4fbfb0; --redis: #e5806a; --simulator: #566069;
    --good: #4fc36b; --bad: #ff7b72; --open: #d9b24a;
  }
}
* { box-sizing: border-box; }
body { background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; margin: 0; }
main { max-width: 74rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .25rem; }
h3 { font-size: .95rem; font-weight: 600; margin: 0 0 .5rem; }
p { margin: .35rem 0; max-width: 48rem; }
.soft, figcaption, footer { color: var(--soft); }
.verdict { display: inline-block; border: 2px solid; border-radius: 999px; font-weight: 700; letter-spacing: .04em; padding: .1rem .9rem; }
.valid, .holds { color: var(--good); } .invalid, .missed { color: var(--bad); } .unknown { color: var(--open); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); margin: 1rem 0; }
.card, figure { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin: 0; padding: .9rem 1rem; }
.compared dt { font-weight: 600; } .compared dd { color: var(--soft); margin: 0 0 .5rem; }
svg { display: block; height: auto; width: 100%; }
svg text { fill: var(--ink); font-size: 12px; } svg .label.seatbelt { font-weight: 700; } svg .value { font-variant-numeric: tabular-nums; }
rect.seatbelt { fill: var(--seatbelt); } rect.yardstick { fill: var(--yardstick); } rect.unsafe { fill: var(--unsafe); }
.cpu-api, .trip-postgres { fill: var(--api); } .cpu-postgres { fill: var(--postgres); } .cpu-redis, .trip-redis { fill: var(--redis); } .cpu-simulator { fill: var(--simulator); }
.run { fill: var(--card); stroke: var(--ink); stroke-width: .9; }
.whisker { fill: none; stroke: var(--ink); stroke-width: 1.2; } .reference { fill: none; stroke: var(--ink); stroke-dasharray: 3 3; opacity: .6; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem; }
.legend i { border-radius: 2px; display: inline-block; height: .75rem; margin-right: .4rem; vertical-align: -1px; width: .75rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; width: 100%; }
th, td { border-top: 1px solid var(--line); font-weight: 400; padding: .3rem .6rem; text-align: right; white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); vertical-align: bottom; }
.text { text-align: left; } .text.wrap { white-space: normal; }
td { font-variant-numeric: tabular-nums; }
td b { display: inline-block; min-width: 4rem; text-align: left; }
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
code { font-size: .85em; }
footer { border-top: 1px solid var(--line); font-size: .9rem; margin-top: 3rem; padding-top: 1rem; }
`
