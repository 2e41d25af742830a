# SPDX-License-Identifier: MIT
#
# The lines of ./table: a figure with its goal, and how lines are printed and drawn.

import html
import math

COLOURS = {"reached": "#2e7d32", "within the noise": "#b58900", "missed": "#c0392b", "for comparison": "#7b8794"}


class Line:
    """One figure: `value` is to be at most (or at least) `limit`. Without a limit it is a ratio to another's, to compare."""

    def __init__(self, row, what, value, limit, unit="", least=False, interval=None, detail=""):
        self.row, self.what, self.unit, self.detail = row, what, unit, detail
        self.value, self.limit, self.least, self.interval = value, limit, least, interval

    @property
    def share(self):
        """How much of the limit is used: 1 and less is reached, whichever way the goal points. Without one: of the other's."""
        limit = 1 if self.limit is None else self.limit
        return limit / self.value if self.least else self.value / limit

    @property
    def state(self):
        if self.limit is None:
            return "for comparison"
        if self.share <= 1:
            return "reached"
        low, high = self.interval or (self.value, self.value)
        return "within the noise" if low <= self.limit <= high else "missed"

    @property
    def goal(self):
        return "-" if self.limit is None else f"{'≥' if self.least else '≤'} {number(self.limit)}{self.unit}"

    @property
    def measured(self):
        text = number(self.value) + self.unit
        return text + (" [{} {}]".format(*map(number, self.interval)) if self.interval else "")

    def as_json(self):
        keys = ("row", "what", "value", "limit", "unit", "interval", "detail", "state")
        return {**{key: getattr(self, key) for key in keys}, "sense": "at least" if self.least else "at most"}


class Server:
    """What ./compare says of one server, the base of the comparison or another."""

    KEYS = ("cpu_ns_per_request", "requests_per_second", "p50_ns", "p99_ns", "p999_ns", "syscalls_per_request")

    def __init__(self, row, placement, name, summary):
        self.row, self.placement, self.name = row, placement, name
        self.figures = {key: summary[key] for key in self.KEYS}

    def as_json(self):
        return {"row": self.row, "placement": self.placement, "server": self.name, **self.figures}


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def print_table(lines):
    width = max(len(line.row) for line in lines)
    what = max(len(line.what) for line in lines)
    print(f"{'row':<{width}}  {'what':<{what}}  {'goal':>10}  {'measured':<24}  {'state':<16}")
    last = None
    for line in lines:
        print(f"{line.row if line.row != last else '':<{width}}  {line.what:<{what}}  {line.goal:>10}"
              f"  {line.measured:<24}  {line.state:<16}  {line.detail}".rstrip())
        last = line.row


def print_servers(servers):
    width = max(len(server.row) for server in servers)
    name = max(len(server.name) for server in servers)
    print(f"{'row':<{width}}  {'':3}  {'server':<{name}}  {'CPU/req ns':>11}  {'requests/s':>10}  {'p50 µs':>9}"
          f"  {'p99 µs':>9}  {'p99.9 µs':>9}  {'calls/req':>9}")
    last = None
    for server in servers:
        cost, rate, *latencies, calls = server.figures.values()
        p50, p99, p999 = (f"{ns / 1e3:>9,.1f}" for ns in latencies)
        print(f"{server.row if server.row != last else '':<{width}}  {server.placement:3}  {server.name:<{name}}  {cost:>11,.0f}"
              f"  {rate:>10,.0f}  {p50}  {p99}  {p999}  {'-' if calls is None else f'{calls:.2f}':>9}")
        last = server.row


def svg(about, lines, notes):
    """A bar for each line: the share of the limit that is used, on a logarithmic axis; the line in the middle is the goal."""
    high, top, left, span = 22, 74, 660, 300
    width, height = left + span + 330, top + high * (len(lines) + len(notes)) + 24
    reach = math.log(8)

    def position(share):
        return left + span * (0.5 + 0.5 * max(-1.0, min(1.0, math.log(share) / reach)))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="system-ui, sans-serif" font-size="13" fill="#222">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           '<text x="16" y="26" font-size="17" font-weight="600">noria: goals and what was measured</text>',
           f'<text x="16" y="46" fill="#666">{html.escape(" · ".join("load " * (key == "load") + text for key, text in about.items()))}</text>']
    for share in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8):
        x = position(share)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{top + high * len(lines)}" '
                   f'stroke="{"#222" if share == 1 else "#ddd"}"/>')
        text = "goal" if share == 1 else f"×{share:g}" if share > 1 else f"1/{1 / share:g}"
        out.append(f'<text x="{x:.1f}" y="{top - 8}" text-anchor="middle" fill="#666" font-size="11">{text}</text>')
    if any(line.limit is None for line in lines):
        out.append(f'<text x="{left + span + 14}" y="{top - 8}" fill="{COLOURS["for comparison"]}" font-size="11">'
                   'grey: for comparison, the line is 1</text>')
    last = None
    for index, line in enumerate(lines):
        y, x, middle = top + high * index, position(line.share), position(1)
        colour = COLOURS[line.state]
        if line.row != last:
            out.append(f'<line x1="16" x2="{width - 16}" y1="{y}" y2="{y}" stroke="#eee"/>')
            out.append(f'<text x="16" y="{y + 15}" font-weight="600">{html.escape(line.row)}</text>')
        out.append(f'<text x="{left - 12}" y="{y + 15}" text-anchor="end">{html.escape(line.what)}</text>')
        out.append(f'<rect x="{min(x, middle):.1f}" y="{y + 5}" width="{max(1.0, abs(x - middle)):.1f}" height="12" '
                   f'fill="{colour}"/>')
        said = line.state if line.limit is None else f"goal {line.goal}, {line.state}"
        out.append(f'<text x="{left + span + 14}" y="{y + 15}">'
                   f'<tspan fill="{colour}">{html.escape(line.measured)}</tspan>'
                   f'<tspan fill="#666">  {html.escape(said)}</tspan></text>')
        last = line.row
    for index, note in enumerate(notes):
        out.append(f'<text x="16" y="{top + high * (len(lines) + index) + 20}" fill="#666">{html.escape(note)}</text>')
    return "\n".join([*out, "</svg>", ""])
