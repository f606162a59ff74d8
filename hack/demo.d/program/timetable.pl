#!/usr/bin/perl
# Prints a day's tides for a harbour named on the command line: invented, but always the same for a name.
use strict;
use warnings;

my $harbour = shift // 'Nowhere';
my $minute  = unpack('%32C*', $harbour) % 360;
my @states  = ('high', 'low');

print "Tides at $harbour\n";
for my $turn (0 .. 7) {
    my $at = $minute + int($turn * 186.25);
    printf "%s  %02d:%02d  %s tide\n", $turn < 4 ? 'today   ' : 'tomorrow', int($at / 60) % 24, $at % 60,
        $states[$turn % 2];
}
