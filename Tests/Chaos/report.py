"""The table at the end."""

SHOWN = 5


def show(run, nemesis, findings, left, seconds):
    """Prints it. Returns whether all is well."""
    totals, ledger = run.ledger.totals(), run.ledger
    missed = nemesis.missed()
    print("\nfaults")
    for name, count in sorted(nemesis.counts.items()):
        print(f"  {name:<44} {count:>5}" + (f"   missed {missed[name]}" if missed[name] else ""))
    for name in sorted(missed.keys() - nemesis.counts.keys()):
        print(f"  {name:<44} {0:>5}   missed {missed[name]}")
    starts = {name: process.starts - 1 for name, process in run.cluster.processes.items() if process.starts > 1}
    print(f"  all: {sum(nemesis.counts.values())}; restarts: " + ", ".join(f"{name} {n}" for name, n in sorted(starts.items())))
    print("  lanes: " + ", ".join(f"{lane.name} {lane.seconds:.0f} s" for lane in nemesis.lanes))
    print("\nledger")
    for word in ("acknowledged", "indeterminate", "rejected"):
        print(f"  {word:<44} {totals[word]:>5}")
    print(f"  {'stored':<44} {findings.stored:>5}")
    for reason, count in sorted(findings.dead.items()):
        print(f"  {'dead letters: ' + reason:<44} {count:>5}")
    print("  answers: " + ", ".join(f"{name} {n}" for name, n in sorted(ledger.answers.items())))
    print("\nfound")
    rows = [
        ("lost", findings.lost), ("duplicated", findings.duplicated), ("unexpected", findings.unexpected), ("drift", findings.drift),
        ("dead-lettered without cause", findings.misjudged), ("wrong answers while faults went on", ledger.violations),
        ("wrong answers at rest", findings.answers), ("processes that ended by themselves", run.cluster.crashes),
        ("not at rest", [left] if left else []), ("faults never placed", [n for n in missed if not nemesis.counts[n]])]
    for name, found in rows:
        print(f"  {name:<44} {len(found):>5}")
        for text in found[:SHOWN]:
            print(f"    {text}")
    print(f"  {'recovered':<44} {len(findings.recovered):>5}")
    failed = sum(bool(found) for _, found in rows)
    print(f"\nchaos: seed {run.seed}, {seconds:.0f} s: {len(rows) - failed} passed, {failed} failed", flush=True)
    return failed == 0
