# chart.gp - how much of its goal each row of the benchmarks needs
#
# Given: data, a file as table.lua writes it; output_file; modules, their names
# in one string; machine.  One group of bars for each row, from top to bottom.

rows = int(system("wc -l < " . data))
set terminal svg size 900, 150 + 22 * rows * words(modules) \
  font "sans-serif,12" background "white"
set output output_file
set title "mtstates: needed / goal (left of 1 is better)\n" . machine \
  noenhanced
set yrange [rows:-1]
set xrange [0:*]
set ytics noenhanced
set grid x
set key bottom right noenhanced
set arrow from 1, graph 0 to 1, graph 1 nohead linewidth 2 front
set style fill solid 0.6

height = 0.8 / words(modules)
top(i) = -0.4 + (i - 1) * height
plot data using (0):0:ytic(1) with dots notitle, \
  for [i = 1:words(modules)] data \
  using (0):($0 + top(i)):(0):(column(3 * i - 1)):($0 + top(i)): \
    ($0 + top(i) + height) with boxxyerror title word(modules, i), \
  for [i = 1:words(modules)] data \
  using (column(3 * i - 1)):($0 + top(i) + height / 2): \
    (column(3 * i)):(column(3 * i + 1)) with xerrorbars pointtype 0 \
    linecolor "black" notitle
