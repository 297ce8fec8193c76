int a(void)
{
    usleep(5);
    return sleep(1);
}
