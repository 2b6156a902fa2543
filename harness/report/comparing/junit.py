"""Gates as JUnit XML: a test case for each pipeline and gate; undecided is a failure too."""

from xml.etree import ElementTree as ET

from harness.comparing import Result
from harness.plain import plain
from harness.report.comparing.text import measured, verdict, who, why

SUITE = "harness compare"


def junit(result: Result) -> bytes:
    """The whole file. ``type`` of a failure is ``fail`` or ``undecided``; times are 0, for nothing
    was run.
    """
    broken = sum(ruling.outcome != "pass" for ruling in result.rulings)
    counts = {
        "tests": str(len(result.rulings)),
        "failures": str(broken),
        "errors": "0",
        "skipped": "0",
        "time": "0",
    }
    root = ET.Element("testsuites", {"name": SUITE, **counts})
    suite = ET.SubElement(root, "testsuite", {"name": SUITE, **counts})
    for ruling in result.rulings:
        place = {
            "classname": _safe(f"{SUITE}.{who(ruling)}"),
            "name": ruling.gate.text,
            "time": "0",
        }
        case = ET.SubElement(suite, "testcase", place)
        if ruling.outcome != "pass":
            about = {"type": ruling.outcome, "message": _safe(f"{ruling.outcome}: {why(ruling)}")}
            failure = ET.SubElement(case, "failure", about)
            failure.text = _safe(f"{who(ruling)} {ruling.gate.text}: {measured(ruling)}")
    said = [verdict(result), f"A: {result.a.folder}", f"B: {result.b.folder}"]
    said += [caution.text for caution in result.cautions]
    ET.SubElement(suite, "system-out").text = "\n".join(map(_safe, said))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _safe(text: str) -> str:
    """One line without the characters that XML 1.0 cannot hold."""
    return "".join(char for char in plain(text) if ord(char) & 0xFFFE != 0xFFFE)
