# Runs as the caller
#
# scripts/package: the Debian package for this server is made, installed, worked with and removed; in a root of scripts/matrix by dpkg
# itself, elsewhere over a private copy of the server.
use strict;
use warnings;
use Test::More;

my $source = $ENV{CIVITAS_SOURCE} or die "CIVITAS_SOURCE is not set: run this through scripts/check\n";
my ($major) = `'$ENV{CIVITAS_PGCONFIG}' --version` =~ /(\d+)/;
$ENV{PACKAGE_BUILD} = $ENV{CIVITAS_BUILD};
my $output = `'$source/scripts/package' --test $major 2>&1 </dev/null`;
while ($output =~ /^(ok  |FAIL)  (package:.*)$/mg)
{
	ok($1 ne 'FAIL', $2);
}
like($output, qr/^\d+ passed, 0 failed$/m, 'all of it') or diag($output);
done_testing();
