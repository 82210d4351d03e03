//! The real program as people use it: started as a process, judged by what it prints, how it ends,
//! and what is there afterwards.

mod suite;
