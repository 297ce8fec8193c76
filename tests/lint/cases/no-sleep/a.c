/* sleep(1) in a comment */
int a(void)
{
    puts("sleep(1)");
    usleep(5);
    (void)nanosleep(&t, 0);
    return sleep(1);
}
