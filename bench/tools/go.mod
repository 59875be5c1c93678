module dbbackup.dev/bench/tools

go 1.26
