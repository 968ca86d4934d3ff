/* Walking over folders. */
#ifndef ZEVAL_ZOO_WALK_H
#define ZEVAL_ZOO_WALK_H

/* Calls visit for everything in a folder, sorted by nothing; a folder that is not there is empty. Stops when
 * visit returns non-zero, and returns that. */
typedef int Visit(void *context, const char *folder, const char *name);
int each_name(const char *folder, Visit *visit, void *context);

/* Calls `file` for every file below a folder, links to files included, folders to a depth of 32; `below` is
 * the path under the top. */
typedef int VisitFile(void *context, const char *path, const char *below);
int walk_files(const char *top, VisitFile *file, void *context);

#endif
