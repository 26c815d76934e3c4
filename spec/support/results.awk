# results.awk - the end of what `make test` prints
#
# Reads the results that each Lua version's run has left, one after another,
# and prints them as a table, below it what went wrong outside of specs, and
# in the last line the sum.  A run can end too early or, even after all specs,
# with a status that they do not explain: that counts as one more failure.
# (The status of busted is 1 if specs have failed.)

$1 == "version" { end_version(); version = $2 }
$1 == "passed"  { passed = $2 }
$1 == "failed"  { failed = $2 }
$1 == "skipped" { skip($2, rest(3)) }
$1 == "stopped" { stopped = rest(2) }
$1 == "status"  { status = $2 }

END {
  end_version()
  print "\nversion  passed  failed  skipped\n" rows notes
  print all_passed + 0 " passed, " all_failed + 0 " failed"
  exit all_failed > 0 || all_passed == 0
}

function end_version() {
  if (version == "") return
  if (stopped != "" || status > (failed > 0)) {
    failed++
    notes = notes version ": ended with status " status " " \
      (stopped != "" ? stopped : "after the last spec") "\n"
  }
  rows = rows sprintf("%-7s %7d %7d %8d%s\n", version, passed, failed, \
    skipped, reasons)
  all_passed += passed
  all_failed += failed
  passed = failed = skipped = status = 0
  reasons = stopped = ""
}

function skip(count, reason) {
  reasons = reasons (reasons == "" ? "  " : ", ") reason " " count
  skipped += count
}

function rest(first,    text, i) {
  text = $first
  for (i = first + 1; i <= NF; i++) text = text " " $i
  return text
}
