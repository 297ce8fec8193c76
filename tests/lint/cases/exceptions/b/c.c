int c(void)
{
    return sleep(1);
}
