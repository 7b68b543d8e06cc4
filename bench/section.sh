# Sourced by benchmarks that write a section of docs/benchmarks.md.

# write_section NAME TITLE REPORT: between the marks of bench/NAME, which are put at the end where there are none.
write_section() {
	local begin="<!-- bench/$1 -->" end="<!-- end of bench/$1 -->" scratch
	scratch=$(mktemp -d)
	grep -q "^$begin" docs/benchmarks.md || printf '\n%s\n%s\n' "$begin" "$end" >>docs/benchmarks.md
	printf '%s\n' "$begin" "## $2" '' \
		"Written by \`bench/$1\`, on $(nproc) cores, coordinator and workers on one machine, TLS between nodes." '' "$3" "$end" >"$scratch/section"
	awk -v begin="$begin" -v end="$end" -v file="$scratch/section" '
		index($0, begin) == 1 { while ((getline line < file) > 0) print line; skip = 1 }
		!skip { print }
		index($0, end) == 1 { skip = 0 }' docs/benchmarks.md >"$scratch/benchmarks.md"
	cat "$scratch/benchmarks.md" >docs/benchmarks.md
	rm -rf "$scratch"
}
