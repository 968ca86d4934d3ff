#!/bin/sh
# Writes an assembler file with the contents of the files named as arguments (sorted) and the table
# `embedded_files` of base/embedded.h.
set -eu
echo '    .section .rodata'
n=0
for file in "$@"; do
    printf '    .balign 64\nembedded_data_%d:\n    .incbin "%s"\nembedded_end_%d:\n    .byte 0\n' $n "$file" $n
    printf 'embedded_name_%d:\n    .asciz "%s"\n' $n "$file"
    n=$((n + 1))
done
printf '    .section .data.rel.ro,"aw"\n    .balign 8\n    .globl embedded_files\nembedded_files:\n'
i=0
while [ $i -lt $n ]; do
    printf '    .quad embedded_name_%d, embedded_data_%d, embedded_end_%d - embedded_data_%d\n' $i $i $i $i
    i=$((i + 1))
done
printf '    .section .rodata\n    .balign 8\n    .globl n_embedded_files\nn_embedded_files:\n    .quad %d\n' $n
printf '    .section .note.GNU-stack,"",%%progbits\n'
