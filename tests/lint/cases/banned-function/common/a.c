int a(char *p, char *q, const char *s)
{
    /* strcpy(p, s) */
    puts("strcpy(p, s)");
    strcpy(p, s); strcat(p, s);
    sprintf(p, "%s", s);
    q->system(1); my_system(2);
    gets(p);
    strtok(p, ",");
    return snprintf(p, 1, "x") + atoi(s);
}
