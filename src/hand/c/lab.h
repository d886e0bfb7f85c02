/* The hand as the first program of an emulated computer. */
#ifndef LAB_H
#define LAB_H

/* Mounts what is needed, loads the channel's modules, and opens the channel. Where a shell is asked for, that runs instead. */
int lab_start(void);

/* Says why on the console, and switches the computer off. */
_Noreturn void lab_end(const char *why);

#endif
