//! Why a file cannot be written, and what is wrong with the options that say where files go.

messages! {
    exists() "exists, and may hold your work"; "choose another file";
    unreadable_target(error) "cannot be read ({error}), so it is not overwritten"; "choose another file";
    not_ours() "was not written by psp2falco"; "choose another file, or overwrite it with --force";
    is_folder() "is a folder"; "name a file";
    no_folder(error) "no folder can be made here ({error})"; "choose another place";
    no_file(error) "no file can be made here ({error})"; "choose another folder";
    not_written(error) "cannot be written ({error})"; "what was there stays";
    not_put_back(error) "is new, since what was there before could not be put back ({error})";
    stream_not_written(error) "cannot be written: {error}";
    same_place(other) "another output of this run goes to {other}"; "name different files";
    too_many_links() "too many symbolic links";
}
