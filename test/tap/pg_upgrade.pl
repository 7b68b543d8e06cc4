# Runs as the caller
#
# test/upgrade/pg_upgrade from this server's version to itself: oids change all the same.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $source = $ENV{CIVITAS_SOURCE} or die "CIVITAS_SOURCE is not set: run this through scripts/check\n";
# A short path (sockets live in it), open above so that the servers' user can reach it.
my $dir = tempdir('civitas-up-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;
my ($port) = `bash -c '. "$source/scripts/lib/common.sh"; find_free_ports 3 $$'` =~ /^(\d+)$/ or die "no free ports\n";
chomp(my $bindir = `dirname "\$(command -v postgres)"`);
my $output = `'$source/test/upgrade/pg_upgrade' '$dir/servers' $port '$bindir' 2>&1 </dev/null`;
while ($output =~ /^(ok  |FAIL)  (.*)\n((?:[<>0-9-].*\n)*)/mg)
{
	ok($1 ne 'FAIL', $2) or diag($3);
}
like($output, qr/^\d+ passed, 0 failed$/m, 'all of it') or diag($output);
done_testing();
