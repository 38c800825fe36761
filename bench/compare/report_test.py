"""What report.py promises, with made-up numbers and nothing but Python:  python3 -m unittest discover -s bench/compare -p '*_test.py'"""

import contextlib
import io
import json
import math
import pathlib
import tempfile
import unittest
import xml.etree.ElementTree

import report
import svg


def step(ef, recall, qps):
    return {"ef": ef, "recall": recall, "qps": qps, "qps_wall": qps / 2, "rounds": [qps]}


def system(key, family, steps, build=True):
    built = {"index_cpu": 12.3, "rows_cpu": 0.4, "bytes": 2**20, "reused": True} if build else None
    return {
        "key": key, "title": f"{key} <f32>", "family": family, "settings": "m 16", "version": "1", "language": "C++", "index_of": "", "build": built,
        "open_seconds": 0.001, "resident_bytes": 2**22, "fixed_us": None, "steps": steps,
    }  # fmt: skip


def results():
    return {
        "set": {"name": "made-up", "rows": 1000, "dim": 16, "queries": 10, "metric": "l2", "whole": True, "note": "made up & small"},
        "k": 10, "rounds": 1, "at_least_seconds": 0, "fixed_rows": 20, "date": "2000-01-01", "minutes": 1, "load": [0, 0], "short": True,
        "machine": {"processor": "one", "cores": 1, "compiler": "c++"},
        "systems": [
            system("hnswlib", "hnswlib", [step(10, 0.85, 8000), step(20, 0.95, 4000), step(40, 0.999, 1000)]),
            system("quiver", "quiver", [step(10, 0.92, 9000), step(20, 0.96, 8000)]),
            system("other", "unheard of", [step(10, 0.3, 9000)], build=False),
        ],
        "not_measured": [{"title": "absent", "reason": "a < b"}],
    }  # fmt: skip


class Rates(unittest.TestCase):
    def test_a_rate_between_two_steps_lies_on_the_line_of_its_logarithm(self):
        steps = results()["systems"][0]["steps"]
        self.assertAlmostEqual(report.qps_at(steps, 0.90), math.sqrt(8000 * 4000))
        self.assertAlmostEqual(report.qps_at(steps, 0.95), 4000)

    def test_where_the_first_step_finds_more_its_rate_counts(self):
        self.assertEqual(report.qps_at([step(10, 0.92, 9000)], 0.90), 9000)

    def test_a_recall_that_no_step_has_is_not_reached(self):
        self.assertIsNone(report.qps_at([step(10, 0.92, 9000)], 0.95))
        self.assertIsNone(report.qps_at([], 0.95))

    def test_a_step_that_finds_less_than_the_one_before_does_no_harm(self):
        steps = [step(10, 0.94, 9000), step(12, 0.93, 8000), step(16, 0.96, 7000)]
        self.assertTrue(7000 < report.qps_at(steps, 0.95) < 8000)

    def test_ratios_are_against_hnswlib_of_the_same_run(self):
        rate, ratio = report.ratios(results())["quiver", 0.90]
        self.assertEqual(rate, 9000)
        self.assertAlmostEqual(ratio, 9000 / math.sqrt(8000 * 4000))
        self.assertEqual(report.ratios(results())["quiver", 0.99], (None, None))

    def test_three_digits_count(self):
        self.assertEqual([svg.number(value) for value in (0, 0.01234, 1.234, 123.4, 12345)], ["0", "0.0123", "1.23", "123", "12,300"])


class Page(unittest.TestCase):
    def test_pictures_are_well_formed(self):
        made_up = results()
        for picture in (svg.recall_against_qps(made_up, report.by_rate(made_up)), svg.bars(made_up)):
            xml.etree.ElementTree.fromstring(picture)

    def test_the_page_says_all_and_needs_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "made-up.json").write_text(json.dumps(results()), encoding="utf-8")
            report.write(folder)
            # The second time the table of targets is there, and is not taken for results.
            written, lines = report.write(folder)
            page = written.read_text(encoding="utf-8")
            self.assertTrue((pathlib.Path(folder) / "made-up.svg").exists())
            table = json.loads((pathlib.Path(folder) / report.TABLE).read_text(encoding="utf-8"))
            self.assertEqual([line["what"] for line in table], [line.what for line in lines])
        for words in ("quiver &lt;f32&gt;", "made up &amp; small", "absent: a &lt; b", "not reached", "figures mean nothing", "earlier run", "2.00 times", "not judged", "no results of sift250k"):
            self.assertIn(words, page)
        for words in ("<script", "<link", "src=", "<f32>"):
            self.assertNotIn(words, page)

    def test_a_run_in_which_nobody_was_measured_still_gives_a_page(self):
        nobody = {**results(), "systems": []}
        self.assertIn("absent", report.page([nobody], []))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            report.print_table(nobody)
        self.assertIn("not measured: a < b", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
