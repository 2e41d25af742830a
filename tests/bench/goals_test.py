#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lines of the table: when a goal is reached, what has none, and that the picture and the list of servers are whole."""
import contextlib
import io
import unittest
import xml.etree.ElementTree

import goals
from goals import Line, Server


def printed(show, things):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        show(things)
    return output.getvalue()


class Lines(unittest.TestCase):
    def test_at_most(self):
        self.assertEqual(Line("r", "w", 0.95, 0.96).state, "reached")
        self.assertEqual(Line("r", "w", 0.97, 0.96).state, "missed")

    def test_at_least(self):
        self.assertEqual(Line("r", "w", 0.99, 0.98, least=True).state, "reached")
        self.assertEqual(Line("r", "w", 0.97, 0.98, least=True).state, "missed")

    def test_interval_that_holds_the_goal(self):
        self.assertEqual(Line("r", "w", 0.97, 0.96, interval=(0.95, 0.99)).state, "within the noise")
        self.assertEqual(Line("r", "w", 0.98, 0.96, interval=(0.97, 0.99)).state, "missed")

    def test_without_a_goal(self):
        line = Line("r", "w", 1.5, None, interval=(1.4, 1.6))
        self.assertEqual((line.state, line.goal, line.share), ("for comparison", "-", 1.5))
        self.assertIsNone(line.as_json()["limit"])
        self.assertEqual(Line("r", "w", 2.0, None, least=True).share, 0.5)


class Shown(unittest.TestCase):
    lines = [Line("row", "<fast>", 0.5, 0.96), Line("row", "slow", 99.0, 1.0, " ns"), Line("row", "other", 0.7, None)]

    def test_picture(self):
        text = goals.svg({"cpu": "a & b"}, self.lines, ["left out: <go>"])
        svg = "{http://www.w3.org/2000/svg}"
        root = xml.etree.ElementTree.fromstring(text)
        width, height = float(root.get("width")), float(root.get("height"))
        bars = [each for each in root.findall(svg + "rect") if each.get("class") == "bar"]
        self.assertEqual([bar.get("fill") for bar in bars],
                         [goals.COLOURS[state] for state in ("reached", "missed", "for comparison")])
        for bar in bars:
            self.assertTrue(0 < float(bar.get("x")) and float(bar.get("x")) + float(bar.get("width")) < width)
        words = ["".join(each.itertext()) for each in root.iter(svg + "text")]
        self.assertIn("0.70  for comparison", words)
        self.assertIn("0.50  goal ≤ 0.96, reached", words)
        self.assertIn("left out: <go>", words)
        self.assertTrue(all(float(each.get("y")) < height for each in root.iter(svg + "text")))

    def test_long_names_have_room(self):
        """Whatever is written ends before the axis, beyond it or in a line of its own, and within the picture."""
        svg, name = "{http://www.w3.org/2000/svg}", "a name of MMMM as no row has had one before, " * 5
        lines = [Line(name, name, 0.01, 1.0), Line(name, "w", 12345678.0, 1.0, " GiB of memory", interval=(12345670.0, 12345690.0)),
                 Line("short", "w" * 90, 0.5, None)]
        root = xml.etree.ElementTree.fromstring(goals.svg({"cpu": name}, lines, [name * 9, "left out: x"]))
        width, height = float(root.get("width")), float(root.get("height"))
        bars = [each for each in root.iter(svg + "rect") if each.get("class") == "bar"]
        axis = [float(each.get("x1")) for each in root.iter(svg + "line")]
        at_bars = {float(bar.get("y")) + 10 for bar in bars}
        self.assertEqual(len(bars), 3)
        for text in root.iter(svg + "text"):
            x, y, words = float(text.get("x")), float(text.get("y")), "".join(text.itertext())
            size = goals.text_width(words, float(text.get("font-size") or 13), text.get("font-weight") is not None)
            begin = {"end": x - size, "middle": x - size / 2}.get(text.get("text-anchor"), x)
            self.assertTrue(0 < begin and begin + size <= width and 0 < y < height, words)
            if y in at_bars:
                self.assertTrue(begin + size < min(axis) or begin > max(axis), words)
        told = ["".join(each.itertext()) for each in root.iter(svg + "text")]
        self.assertEqual(told.count(name), 3, "the machine, the row's name, once, and what is measured")
        self.assertIn("left out: x", told)
        self.assertIn((name * 9).strip(), " ".join(told), "a long note is broken, and whole")

    def test_table(self):
        text = printed(goals.print_table, self.lines)
        self.assertRegex(text, r"<fast> +≤ 0\.96 +0\.50 +reached")
        self.assertRegex(text, r"other +- +0\.70 +for comparison")

    def test_servers(self):
        summary = {"cpu_ns_per_request": 5120.4, "requests_per_second": 150000.0, "p50_ns": 400000, "p99_ns": 500000,
                   "p999_ns": 1600000, "syscalls_per_request": 2.031, "turns": 3}
        known = Server("row", "two", "epoll", summary)
        unknown = Server("row", "one", "go", {**summary, "syscalls_per_request": None})
        text = printed(goals.print_servers, [known, unknown])
        self.assertRegex(text, r"row +two +epoll +5,120 +150,000 +400\.0 +500\.0 +1,600\.0 +2\.03\n")
        self.assertRegex(text, r"one +go .* -\n")
        self.assertEqual(known.as_json()["syscalls_per_request"], 2.031)
        self.assertIsNone(unknown.as_json()["syscalls_per_request"])


if __name__ == "__main__":
    unittest.main()
