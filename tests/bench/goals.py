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


# ---------------------------------------------------------------------------------------------------------------------
# The picture

LINE, HEAD, MARGIN, GAP = 22, 74, 16, 14  # a line's height; where the first one is; of the picture; between columns
SPAN, REACH = 300, math.log(8)            # of the axis: so wide, and to 8 times the goal on both sides
NOTE_WIDTH = 900                          # a note goes on in the next line there, or at the picture's own width


def text_width(text, size=13, bold=False):
    """About how wide it is, rather too much than too little: the font is the reader's, and some are wide."""
    narrow, wide = " .,:;'|!ijl[](){}/ftI-", "mwMW@%\N{EM DASH}\N{HORIZONTAL ELLIPSIS}"
    ems = sum(0.4 if each in narrow else 1.0 if each in wide or ord(each) > 0x2e80 else 0.72 if each.isupper() else 0.64
              for each in text)
    return ems * size * (1.12 if bold else 1.0)


def broken(text, width):
    """In pieces that fit into the width."""
    pieces = [""]
    for word in text.split(" "):
        if pieces[-1] and text_width(f"{pieces[-1]} {word}") > width:
            pieces.append("")
        pieces[-1] += " " * bool(pieces[-1]) + word
    return pieces


def words(x, y, text, **attributes):
    given = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<text x="{x:g}" y="{y:g}"{given}>{html.escape(text)}</text>'


def said(line):
    return line.state if line.limit is None else f"goal {line.goal}, {line.state}"


def about_text(about):
    return " · ".join("load " * (key == "load") + text for key, text in about.items())


class Picture:
    """Where things are: the columns are as wide as what stands in them, so that no text reaches a bar or the edge."""

    def __init__(self, about, lines, notes):
        self.left = math.ceil(2 * MARGIN + max([text_width(line.what) for line in lines], default=0)) + GAP
        right = max([text_width(f"{line.measured}  {said(line)}") for line in lines] + [text_width("x" * 40, 11)])
        heads = [text_width(about_text(about)), *(text_width(line.row, bold=True) for line in lines)]
        self.width = math.ceil(max(self.left + SPAN + GAP + right, MARGIN + max(heads)) + MARGIN)
        self.notes = [piece for note in notes for piece in broken(note, max(NOTE_WIDTH, self.width - 2 * MARGIN))]
        longest = max([text_width(piece) for piece in self.notes], default=0)
        self.width = math.ceil(max(self.width, longest + 2 * MARGIN))
        rows = sum(line.row != last for line, last in zip(lines, [None, *(line.row for line in lines)]))
        self.bottom = HEAD + LINE * (len(lines) + rows)
        self.height = self.bottom + LINE * len(self.notes) + 24

    def position(self, share):
        return self.left + SPAN * (0.5 + 0.5 * max(-1.0, min(1.0, math.log(share) / REACH)))

    def axis(self, compared):
        for share in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8):
            x = self.position(share)
            yield (f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 4}" y2="{self.bottom}" '
                   f'stroke="{"#222" if share == 1 else "#ddd"}"/>')
            text = "goal" if share == 1 else f"×{share:g}" if share > 1 else f"1/{1 / share:g}"
            yield words(round(x, 1), HEAD - 8, text, text_anchor="middle", fill="#666", font_size=11)
        if compared:
            yield words(self.left + SPAN + 2 * GAP, HEAD - 8, "grey: for comparison, the line is 1", font_size=11,
                        fill=COLOURS["for comparison"])

    def row(self, y, text):
        """A row's name stands above its lines, over a band that hides the axis: it may be as long as it likes."""
        yield f'<rect class="row" x="{MARGIN}" y="{y + 1}" width="{self.width - 2 * MARGIN}" height="{LINE - 2}" fill="#f3f4f6"/>'
        yield words(MARGIN + 4, y + 15, text, font_weight=600)

    def line(self, y, line):
        colour, x, middle = COLOURS[line.state], self.position(line.share), self.position(1)
        yield words(self.left - GAP, y + 15, line.what, text_anchor="end")
        yield (f'<rect class="bar" x="{min(x, middle):.1f}" y="{y + 5}" width="{max(1.0, abs(x - middle)):.1f}" height="12" '
               f'fill="{colour}"/>')
        yield (f'<text x="{self.left + SPAN + GAP}" y="{y + 15}"><tspan fill="{colour}">{html.escape(line.measured)}</tspan>'
               f'<tspan fill="#666">  {html.escape(said(line))}</tspan></text>')


def svg(about, lines, notes):
    """A bar for each line: the share of the limit that is used, on a logarithmic axis; the line in the middle is the goal."""
    picture = Picture(about, lines, notes)
    width, height = picture.width, picture.height
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="system-ui, sans-serif" font-size="13" fill="#222">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           words(MARGIN, 26, "noria: goals and what was measured", font_size=17, font_weight=600),
           words(MARGIN, 46, about_text(about), fill="#666"), *picture.axis(any(line.limit is None for line in lines))]
    y, last = HEAD, None
    for line in lines:
        if line.row != last:
            out += picture.row(y, line.row)
            y += LINE
        out += picture.line(y, line)
        y, last = y + LINE, line.row
    out += [words(MARGIN, picture.bottom + LINE * index + 20, note, fill="#666") for index, note in enumerate(picture.notes)]
    return "\n".join([*out, "</svg>", ""])
